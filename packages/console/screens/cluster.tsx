import { Link } from "wouter";
import type { Availability, ClusterStatus, GpuCapacity } from "../../sdk/berth.ts";
import type { JobSummary } from "../../sdk/jobs.ts";
import { berth } from "../data/client.ts";
import { useLivingJobs } from "../data/environments.ts";
import { useLive, useOnce } from "../data/live.ts";
import { describeGrowth, hasGpus } from "../data/machines.ts";
import { counted, describeMachine, printable } from "../data/words.ts";
import { Bar } from "../parts/bar.tsx";
import { CommandLine } from "../parts/command-line.tsx";
import { Title } from "../parts/layout.tsx";
import { Empty, Loaded } from "../parts/notices.tsx";
import { Deadline } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";

export function Cluster() {
  const status = useLive(["cluster"], (signal) => berth.status({ signal }));
  const availability = useLive(["availability"], (signal) => berth.availability({ signal }));
  return (
    <>
      <Title title="Cluster" />
      <Loaded query={status}>
        {(data) => (
          <Loaded query={availability}>{({ availability: types }) => <Types status={data} types={types} />}</Loaded>
        )}
      </Loaded>
      <CommandLine words="berth avail" />
      <OwnQueue />
    </>
  );
}

/** The user's jobs that wait, with place, estimate and reason. Only operators see those of others. */
function OwnQueue() {
  const query = useLivingJobs();
  const { data: me } = useOnce(["me"], (signal) => berth.me({ signal }));
  return (
    <section>
      <h2>Your queue</h2>
      <Loaded query={query}>
        {(jobs) => {
          const rows = jobs.filter(({ status }) => status === "queued");
          if (rows.length === 0) return <Empty title="None of your environments waits" />;
          return <Table caption="Your queue" columns={queueColumns} rows={rows} rowKey={({ job_id }) => job_id} />;
        }}
      </Loaded>
      {me?.is_operator && (
        <p>
          <Link href="/admin">The queue of all users</Link>
        </p>
      )}
    </section>
  );
}

const queueColumns: readonly Column<JobSummary>[] = [
  {
    name: "Name",
    cell: ({ job_id, name }) => (
      <Link href={`/jobs/${job_id}`} className="name">
        <bdi>{printable(name, 128)}</bdi>
      </Link>
    ),
  },
  { name: "Machine", cell: (job) => describeMachine(job) },
  { name: "Place", isNumber: true, cell: ({ queue_position }) => queue_position ?? "–" },
  {
    name: "Why",
    cell: (job) => (
      <>
        <Deadline job={job} />
        {job.status_reason !== null && <span className="why">{printable(job.status_reason, 400)}</span>}
      </>
    ),
  },
];

interface TypesProps {
  readonly status: ClusterStatus;
  readonly types: Availability["availability"];
}

function Types({ status, types }: TypesProps) {
  const rows = Object.values(status.by_gpu_type);
  if (rows.length === 0) return <Empty title="No machine is known yet" />;
  return (
    <>
      <p className="headline">
        {status.available_gpus} of {status.total_gpus} GPUs {status.available_gpus === 1 ? "is" : "are"} free.{" "}
        {counted(status.active_reservations, "environment runs", "environments run")},{" "}
        {counted(status.preparing_reservations, "starts", "start")},{" "}
        {counted(status.queued_reservations, "waits", "wait")}.
      </p>
      <Table
        caption="Machines by type"
        columns={columnsFor({ status, types })}
        rows={rows}
        rowKey={({ gpu_type }) => gpu_type}
      />
    </>
  );
}

function columnsFor({ status: { estimate_errors }, types }: TypesProps): Column<GpuCapacity>[] {
  return [
    { name: "Type", cell: ({ gpu_type }) => <strong>{printable(gpu_type, 40)}</strong> },
    {
      name: "Held",
      cell: ({ gpu_type, total, available, in_use }) =>
        hasGpus(gpu_type) ? (
          <Bar type={gpu_type} {...{ total, in_use, available }} />
        ) : (
          <span className="faint">no GPUs</span>
        ),
    },
    { name: "Free", isNumber: true, cell: ({ gpu_type, available }) => (hasGpus(gpu_type) ? available : "–") },
    { name: "Total", isNumber: true, cell: ({ gpu_type, total }) => (hasGpus(gpu_type) ? total : "–") },
    { name: "Waiting for", isNumber: true, cell: ({ queued }) => queued },
    {
      name: "Note",
      cell: ({ gpu_type, total, available, in_use }) => (
        <>
          {types[gpu_type]?.closed_reason != null && (
            <span className="why warning">{printable(types[gpu_type].closed_reason, 300)}</span>
          )}
          <Growth text={describeGrowth(gpu_type, types[gpu_type])} />
          {total > available + in_use && (
            <span className="why">{total - available - in_use} on machines that are away</span>
          )}
          <Accuracy error={estimate_errors[gpu_type]} />
        </>
      ),
    },
  ];
}

function Growth({ text }: { readonly text: string }) {
  return text === "" ? null : <span className="why">{text}</span>;
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
