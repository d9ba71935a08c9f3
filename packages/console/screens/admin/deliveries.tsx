import { type FormEvent, useState } from "react";
import type { components } from "../../../sdk/schema.ts";
import { berth } from "../../data/client.ts";
import { useLive, useOnce } from "../../data/live.ts";
import { shellWord } from "../../data/new-job.ts";
import { printable } from "../../data/words.ts";
import { At } from "../../parts/clock.tsx";
import { CommandLine } from "../../parts/command-line.tsx";
import { TextField } from "../../parts/field.tsx";
import { Empty, Loaded } from "../../parts/notices.tsx";
import { type Column, Table } from "../../parts/table.tsx";
import { DeliveryState, Resend } from "../delivery.tsx";
import { AdminTitle } from "./admin-title.tsx";

type Delivery = components["schemas"]["AdminWebhookDelivery"];

/** Webhook deliveries that wait, of all users, or all of one user. */
export function AllDeliveries() {
  const [user, setUser] = useState("");
  const filter = user === "" ? {} : { user };
  const query = useLive(["admin", "deliveries", user], (signal) => berth.admin.deliveries({ ...filter, signal }));
  return (
    <>
      <AdminTitle title="Webhook deliveries" />
      <UserFilter show={setUser} />
      <Loaded query={query}>
        {({ deliveries, next }) => (
          <>
            {deliveries.length === 0 ? (
              <Empty title={user === "" ? "No delivery waits" : `${printable(user, 80)} has none of the last 7 days`} />
            ) : (
              <Table
                caption="Webhook deliveries"
                columns={columns}
                rows={deliveries}
                rowKey={({ delivery_id }) => delivery_id}
              />
            )}
            {next !== null && <p className="faint">Older deliveries of this user are not shown here.</p>}
          </>
        )}
      </Loaded>
      <CommandLine words={`berth admin deliveries${user === "" ? "" : ` --user ${shellWord(user)}`}`} />
    </>
  );
}

function UserFilter({ show }: { show(user: string): void }) {
  const [text, setText] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    show(text.trim());
  };
  return (
    <form className="filter" onSubmit={submit}>
      <TextField
        label="User"
        hint="Shows ended deliveries too. Empty: those of all users that wait"
        value={text}
        set={setText}
      />
      <button type="submit">Show</button>
    </form>
  );
}

const columns: readonly Column<Delivery>[] = [
  { name: "Owner", cell: ({ user_id }) => <bdi>{printable(user_id, 100)}</bdi> },
  {
    name: "Environment",
    cell: ({ environment_name, api, phase }) => (
      <>
        <bdi className="name">{printable(environment_name, 128)}</bdi>
        <span className="why">
          {printable(phase, 40)}, by {printable(api, 40)}
        </span>
      </>
    ),
  },
  { name: "State", cell: (delivery) => <DeliveryState delivery={delivery} /> },
  { name: "Attempts", isNumber: true, cell: ({ attempt_count }) => attempt_count },
  { name: "Next", cell: ({ next_attempt_at }) => next_attempt_at !== null && <At time={next_attempt_at} /> },
  { name: "Made", cell: ({ created_at }) => <At time={created_at} /> },
  { name: "Actions", cell: (delivery) => <ResendOwn delivery={delivery} /> },
];

/** Only its owner may send a delivery again. */
function ResendOwn({ delivery }: { readonly delivery: Delivery }) {
  const { data: me } = useOnce(["me"], (signal) => berth.me({ signal }));
  if (me?.username !== delivery.user_id) return <span className="faint">its owner may resend it</span>;
  return <Resend delivery={delivery} />;
}
