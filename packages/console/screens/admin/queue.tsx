import type { components } from "../../../sdk/schema.ts";
import { hasGpus } from "../../data/machines.ts";
import { counted, printable } from "../../data/words.ts";
import { At } from "../../parts/clock.tsx";
import { Empty } from "../../parts/notices.tsx";
import { Deadline } from "../../parts/state.tsx";
import { type Column, Table } from "../../parts/table.tsx";

type Waiting = components["schemas"]["PoolWaiting"];

interface QueueProps {
  readonly pools: readonly components["schemas"]["AdminPool"][];
}

type QueueRow = Waiting & { readonly gpu_type: string };

/** Table of waiting jobs in the planner's order of each type. */
export function Queue({ pools }: QueueProps) {
  const rows = pools.flatMap(({ gpu_type, queue }) => queue.map((entry) => ({ ...entry, gpu_type })));
  const missing = pools.reduce((sum, { waiting_count, queue }) => sum + waiting_count - queue.length, 0);
  return (
    <section>
      <h2>Queue</h2>
      {rows.length === 0 ? (
        <Empty title="Nothing waits" />
      ) : (
        <Table
          caption="Waiting environments in the planner's order"
          columns={queueColumns}
          rows={rows}
          rowKey={({ api, user_id, environment_id }) => `${api} ${user_id} ${environment_id}`}
        />
      )}
      {missing > 0 && <p className="faint">{counted(missing, "more waits behind them", "more wait behind them")}.</p>}
    </section>
  );
}

const queueColumns: readonly Column<QueueRow>[] = [
  {
    name: "Place",
    cell: ({ gpu_type, position }) => `${printable(gpu_type, 40)} ${position === null ? "–" : `#${position}`}`,
  },
  {
    name: "Name",
    cell: ({ name, api }) => (
      <>
        <bdi className="name">{printable(name, 128)}</bdi>
        {api !== "gpu-dev" && <span className="why">{printable(api, 40)}</span>}
      </>
    ),
  },
  { name: "Owner", cell: ({ user_id }) => <bdi>{printable(user_id, 100)}</bdi> },
  { name: "Needs", cell: (entry) => describeNeed(entry) },
  { name: "Owner has", cell: ({ share }) => `${Math.round(share * 100)} % of the type` },
  { name: "Since", cell: ({ queued_at }) => <At time={queued_at} /> },
  {
    name: "Why",
    cell: ({ reason, estimated_start_time }) => (
      <>
        <Deadline job={{ status: "queued", expires_at: null, estimated_start_time, estimated_start_latest: null }} />
        {reason !== null && <span className="why">{printable(reason, 400)}</span>}
      </>
    ),
  },
];

function describeNeed({ gpu_type, machines: count, units }: QueueRow): string {
  const each = counted(units, hasGpus(gpu_type) ? "GPU" : "unit");
  return count === 1 ? each : `${each} on each of ${count} machines`;
}
