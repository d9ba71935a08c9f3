import type { ClusterStatus, GpuCapacity } from "../../sdk/berth.ts";
import { berth } from "../data/client.ts";
import { useLive } from "../data/live.ts";
import { hasGpus } from "../data/machines.ts";
import { printable } from "../data/words.ts";
import { Bar } from "../parts/bar.tsx";
import { CommandLine } from "../parts/command-line.tsx";
import { Title } from "../parts/layout.tsx";
import { Empty, Loaded } from "../parts/notices.tsx";
import { type Column, Table } from "../parts/table.tsx";

export function Cluster() {
  const status = useLive(["cluster"], (signal) => berth.status({ signal }));
  const availability = useLive(["availability"], (signal) => berth.availability({ signal }));
  return (
    <>
      <Title title="Cluster" />
      <Loaded query={status}>
        {(data) => (
          <Loaded query={availability}>
            {({ availability: types }) => <Types status={data} closed={closedReasons(types)} />}
          </Loaded>
        )}
      </Loaded>
      <CommandLine words="berth avail" />
    </>
  );
}

type Closed = ReadonlyMap<string, string>;

function closedReasons(types: Readonly<Record<string, { readonly closed_reason: string | null }>>): Closed {
  const closed = Object.entries(types).filter(([, { closed_reason }]) => closed_reason !== null);
  return new Map(closed.map(([name, { closed_reason }]) => [name, closed_reason ?? ""]));
}

function Types({ status, closed }: { readonly status: ClusterStatus; readonly closed: Closed }) {
  const rows = Object.values(status.by_gpu_type);
  if (rows.length === 0) return <Empty title="No machine is known yet" />;
  return (
    <>
      <p className="headline">
        {status.available_gpus} of {status.total_gpus} GPUs are free. {status.active_reservations} environments run,{" "}
        {status.preparing_reservations} start, {status.queued_reservations} wait.
      </p>
      <Table
        caption="Machines by type"
        columns={columnsFor(status, closed)}
        rows={rows}
        rowKey={({ gpu_type }) => gpu_type}
      />
    </>
  );
}

function columnsFor({ estimate_errors }: ClusterStatus, closed: Closed): Column<GpuCapacity>[] {
  return [
    { name: "Type", cell: ({ gpu_type }) => <strong>{printable(gpu_type, 40)}</strong> },
    {
      name: "Held",
      cell: ({ gpu_type, total, available, in_use }) =>
        hasGpus(gpu_type) ? (
          <Bar label={`${gpu_type}: ${in_use} held, ${available} free of ${total}`} {...{ total, in_use, available }} />
        ) : (
          <span className="faint">no GPUs</span>
        ),
    },
    { name: "Free", isNumber: true, cell: ({ available }) => available },
    { name: "Total", isNumber: true, cell: ({ total }) => total },
    { name: "Waiting for", isNumber: true, cell: ({ queued }) => queued },
    {
      name: "Note",
      cell: ({ gpu_type, total, available, in_use }) => (
        <>
          {closed.has(gpu_type) && <span className="why warning">{printable(closed.get(gpu_type) ?? "", 300)}</span>}
          {total > available + in_use && (
            <span className="why">{total - available - in_use} on machines that are away</span>
          )}
          <Accuracy error={estimate_errors[gpu_type]} />
        </>
      ),
    },
  ];
}

type EstimateError = ClusterStatus["estimate_errors"][string];

/** How good the estimates of this type were. */
function Accuracy({ error }: { readonly error: EstimateError | undefined }) {
  if (!error || error.starts < 5) return null;
  return (
    <span className="why">
      {Math.round(error.covered * 100)} % of the last {error.starts} starts were in time
    </span>
  );
}
