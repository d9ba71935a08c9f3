import type { Me } from "../../sdk/berth.ts";
import type { Key } from "../../sdk/keys.ts";
import type { WebhookDelivery } from "../../sdk/webhooks.ts";
import { useAct } from "../data/acts.ts";
import { berth, collect } from "../data/client.ts";
import { useLive } from "../data/live.ts";
import { printable } from "../data/words.ts";
import { Ask } from "../parts/ask.tsx";
import { At } from "../parts/clock.tsx";
import { type Fact, Facts } from "../parts/facts.tsx";
import { Title } from "../parts/layout.tsx";
import { Empty, Loaded } from "../parts/notices.tsx";
import { Outcome } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { DeliveryState, Resend } from "./delivery.tsx";
import { SignOutAct } from "./sign-out.tsx";

export function useKeys() {
  return useLive(["keys"], (signal) => collect(berth.keys.list({ signal })));
}

export function Account() {
  const me = useLive(["me"], (signal) => berth.me({ signal }));
  const keys = useKeys();
  return (
    <>
      <Title title="Account" />
      <Loaded query={me}>{(data) => <Facts facts={describe(data)} />}</Loaded>
      <section>
        <h2>Keys and browsers</h2>
        <Loaded query={keys}>
          {(rows) => (
            <>
              <Table
                caption="Keys and browsers"
                columns={keyColumns}
                rows={rows}
                rowKey={({ key_prefix }) => key_prefix}
              />
              {me.data && <p className="faint">{describeUse(rows, me.data)}</p>}
            </>
          )}
        </Loaded>
        <p className="faint">
          The command line replaces its own key before it ends. Other programs call <code>POST /v1/keys/rotate</code>. A
          browser cannot: its session ends with the login that it came from.
        </p>
      </section>
      <Deliveries />
    </>
  );
}

function describe(me: Me): Fact[] {
  const { username, is_operator, limits } = me;
  return [
    ["User", `${printable(username, 200)}${is_operator ? ", an operator" : ""}`],
    ["This session", <Session key="session" me={me} />],
    [
      "Limits",
      `${limits.max_duration_hours} h at once, ${limits.max_total_hours} h with extensions, ${
        limits.max_waiting_jobs ?? "any number of"
      } waiting environments of a type, ${limits.max_keys} keys, ${limits.max_web_sessions} browsers`,
    ],
  ];
}

function Session({ me }: { readonly me: Me }) {
  return (
    <>
      ends at <At time={me.key.expires_at} />, with the login that it came from <SignOutAct me={me} />
      <Outcome subject="session" />
    </>
  );
}

function describeUse(keys: readonly Key[], { limits: { max_keys, max_web_sessions } }: Me): string {
  const browsers = keys.filter(({ kind }) => kind === "web").length;
  return `In use: ${browsers} of ${max_web_sessions} browsers and ${keys.length - browsers} of ${max_keys} keys.`;
}

const kinds: Readonly<Record<string, string>> = { web: "browser", login: "login", rotation: "rotated key" };

const keyColumns: readonly Column<Key>[] = [
  {
    name: "Key",
    cell: ({ key_prefix, current }) => (
      <>
        <code>{printable(key_prefix, 20)}</code>
        {current && <strong> this browser</strong>}
        <Outcome subject={`key ${key_prefix}`} />
      </>
    ),
  },
  { name: "Kind", cell: ({ kind }) => kinds[kind] ?? printable(kind, 40) },
  { name: "Made", cell: ({ created_at }) => <At time={created_at} /> },
  { name: "Last used", cell: ({ last_used_at }) => <At time={last_used_at} /> },
  { name: "Ends", cell: ({ expires_at }) => <At time={expires_at} /> },
  { name: "Actions", cell: (key) => <Revoke apiKey={key} /> },
];

export function Revoke({ apiKey }: { readonly apiKey: Key }) {
  const { key_prefix: prefix, current, kind } = apiKey;
  const act = useAct(`key ${prefix}`);
  return (
    <Ask
      title={`Revoke ${prefix}`}
      label="Revoke"
      isDangerous
      words={`berth keys revoke ${prefix}`}
      act={() => void act("Revoke", () => berth.keys.revoke(prefix))}
    >
      <p>
        {current
          ? "You are signed out of this browser."
          : `The ${kind === "web" ? "browser" : "program"} that has it is refused within seconds. A login makes a new one.`}
      </p>
    </Ask>
  );
}

export function useDeliveries() {
  return useLive(["deliveries"], (signal) => collect(berth.webhooks.list({ signal }), 100));
}

function Deliveries() {
  const query = useDeliveries();
  return (
    <section>
      <h2>Webhook deliveries</h2>
      <Loaded query={query}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty title="No webhook was called in the last seven days" />
          ) : (
            <Table
              caption="Webhook deliveries"
              columns={deliveryColumns}
              rows={rows}
              rowKey={({ delivery_id }) => delivery_id}
            />
          )
        }
      </Loaded>
    </section>
  );
}

const deliveryColumns: readonly Column<WebhookDelivery>[] = [
  { name: "Environment", cell: ({ environment_name }) => <bdi>{printable(environment_name, 128)}</bdi> },
  { name: "Phase", cell: ({ phase }) => printable(phase, 40) },
  { name: "State", cell: (delivery) => <DeliveryState delivery={delivery} /> },
  { name: "Attempts", isNumber: true, cell: ({ attempt_count }) => attempt_count },
  { name: "Made", cell: ({ created_at }) => <At time={created_at} /> },
  { name: "Actions", cell: (delivery) => <Resend delivery={delivery} /> },
];
