import type { components } from "../../../sdk/schema.ts";
import { berth, collect } from "../../data/client.ts";
import { useLive } from "../../data/live.ts";
import { printable } from "../../data/words.ts";
import { At } from "../../parts/clock.tsx";
import { CommandLine } from "../../parts/command-line.tsx";
import { Empty, Loaded } from "../../parts/notices.tsx";
import { type Column, Table } from "../../parts/table.tsx";
import { AdminTitle } from "./admin-title.tsx";

type AuditEntry = components["schemas"]["AuditEntry"];

/** Screen with the audit log of operators, newest entry first. */
export function Audit() {
  const query = useLive(["admin", "audit"], (signal) => collect(berth.admin.audit({ signal }), 100));
  return (
    <>
      <AdminTitle title="Audit" />
      <Loaded query={query}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty title="No operator did anything yet" />
          ) : (
            <Table caption="Acts of operators" columns={columns} rows={rows} rowKey={({ id }) => id} />
          )
        }
      </Loaded>
      <CommandLine words="berth admin audit" />
    </>
  );
}

const columns: readonly Column<AuditEntry>[] = [
  { name: "At", cell: ({ at }) => <At time={at} /> },
  { name: "Operator", cell: ({ operator }) => <bdi>{printable(operator, 100)}</bdi> },
  {
    name: "Act",
    cell: ({ action, count }) => `${printable(action.replaceAll("_", " "), 60)}${count > 1 ? ` × ${count}` : ""}`,
  },
  { name: "On", cell: ({ target }) => (target === null ? "" : <bdi>{printable(target, 200)}</bdi>) },
  { name: "Result", cell: ({ result }) => printable(result, 40) },
  { name: "Reason", cell: ({ reason }) => printable(reason ?? "", 400) },
];
