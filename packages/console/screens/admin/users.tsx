import type { components } from "../../../sdk/schema.ts";
import { useAct } from "../../data/acts.ts";
import { berth, collect } from "../../data/client.ts";
import { useLive, useOnce } from "../../data/live.ts";
import { shellWord } from "../../data/new-job.ts";
import { printable } from "../../data/words.ts";
import { Ask } from "../../parts/ask.tsx";
import { At } from "../../parts/clock.tsx";
import { CommandLine } from "../../parts/command-line.tsx";
import { Loaded } from "../../parts/notices.tsx";
import { Outcome } from "../../parts/state.tsx";
import { type Column, Table } from "../../parts/table.tsx";
import { AdminTitle } from "./admin-title.tsx";

export type AdminUser = components["schemas"]["AdminUser"];

export function useUsers() {
  return useLive(["admin", "users"], (signal) => collect(berth.admin.users({ signal })));
}

/** The users, and whether they may log in. */
export function Users() {
  const query = useUsers();
  return (
    <>
      <AdminTitle title="Users" />
      <Loaded query={query}>
        {(rows) => <Table caption="Users" columns={columns} rows={rows} rowKey={({ username }) => username} />}
      </Loaded>
      <p className="faint">Users appear here with their first login.</p>
      <CommandLine words="berth admin users" />
    </>
  );
}

const columns: readonly Column<AdminUser>[] = [
  { name: "User", cell: ({ username }) => <bdi className="name">{printable(username, 255)}</bdi> },
  {
    name: "State",
    cell: ({ username, disabled }) => (
      <>
        {disabled ? <span className="warning">disabled</span> : "may log in"}
        <Outcome subject={`user ${username}`} />
      </>
    ),
  },
  { name: "Keys", isNumber: true, cell: ({ key_count }) => key_count },
  { name: "Browsers", isNumber: true, cell: ({ web_session_count }) => web_session_count },
  {
    name: "Newest key",
    cell: ({ last_issued_at }) =>
      last_issued_at === null ? <span className="faint">none</span> : <At time={last_issued_at} />,
  },
  { name: "Actions", cell: (user) => <Admit user={user} /> },
];

/** Disables or enables a user. The API refuses operators who would disable themselves. */
export function Admit({ user: { username, disabled } }: { readonly user: AdminUser }) {
  const act = useAct(`user ${username}`);
  const { data: me } = useOnce(["me"], (signal) => berth.me({ signal }));
  if (me?.username === username) return <span className="faint">you</span>;
  const label = disabled ? "Enable" : "Disable";
  return (
    <Ask
      title={`${label} ${printable(username, 80)}`}
      label={label}
      isDangerous={!disabled}
      {...(!disabled && { typed: username })}
      words={`berth admin user ${label.toLowerCase()} ${shellWord(username)}`}
      act={() => void act(label, () => berth.admin.setDisabled(username, !disabled))}
    >
      <p>
        {disabled
          ? "The user may log in again. Keys and browsers from before stay ended."
          : "All keys, browsers and logins of this user are refused within seconds. Environments go on."}
      </p>
    </Ask>
  );
}
