import { useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import type { JobSummary } from "../../sdk/jobs.ts";
import {
  isJob,
  type Row,
  rowKey,
  useEnded,
  useLivingJobs,
  useLivingRows,
  useOtherEnvironments,
} from "../data/environments.ts";
import { newSubject } from "../data/new-job.ts";
import { home } from "../data/screens.ts";
import { describeMachine, describeReason, jobWord, livingCaption, livingColumns, printable } from "../data/words.ts";
import { announce } from "../parts/announcer.tsx";
import { At } from "../parts/clock.tsx";
import { CommandLine } from "../parts/command-line.tsx";
import { Title } from "../parts/layout.tsx";
import { Empty, Failure, Loaded } from "../parts/notices.tsx";
import { Deadline, Outcome, State } from "../parts/state.tsx";
import { type Column, LongTable, Table } from "../parts/table.tsx";
import { End, Extend, isLiving } from "./job-acts.tsx";
import { describeOther, OtherLinks, OtherName } from "./other-environments.tsx";

const none: readonly never[] = [];

export function Environments() {
  const query = useLivingJobs();
  const others = useOtherEnvironments();
  const rows = useLivingRows(query.data ?? none, others.data ?? none);
  useSpokenStates(query.data);
  return (
    <>
      <Title title={home[1]}>
        <Link href="/new" className="button primary">
          New environment
        </Link>
      </Title>
      <Outcome subject={newSubject} />
      <Loaded query={query}>
        {() =>
          rows.length === 0 ? (
            !others.isPending && <NothingLives />
          ) : (
            <LongTable caption={livingCaption} className="living" columns={columns} rows={rows} rowKey={rowKey} />
          )
        }
      </Loaded>
      {others.error && !others.data && !query.error && <Failure error={others.error} isRetried />}
      <Ended />
    </>
  );
}

function NothingLives() {
  return (
    <Empty title="Nothing runs or waits">
      <p>Start an environment here, or from your terminal:</p>
      <CommandLine words="berth up" />
    </Empty>
  );
}

const [nameHead, stateHead, machineHead, timeHead, diskHead, actionsHead] = livingColumns;

const nameColumn: Column<Row> = {
  name: nameHead,
  cell: (row) =>
    isJob(row) ? (
      <Link href={`/jobs/${row.job_id}`} className="name">
        <bdi>{printable(row.name, 128)}</bdi>
      </Link>
    ) : (
      <OtherName environment={row} />
    ),
};

const stateColumn: Column<Row> = {
  name: stateHead,
  cell: (row) =>
    isJob(row) ? (
      <>
        <State job={row} />
        <Why job={row} />
        <Outcome subject={row.job_id} />
      </>
    ) : (
      <>
        <State job={{ ...row, status: row.phase }} />
        {row.reason !== null && <span className="why">{printable(row.reason, 400)}</span>}
      </>
    ),
};

const machineColumn: Column<Row> = {
  name: machineHead,
  cell: (row) => (isJob(row) ? describeMachine(row) : describeOther(row)),
};

const columns: readonly Column<Row>[] = [
  nameColumn,
  stateColumn,
  machineColumn,
  {
    name: timeHead,
    cell: (row) => <Deadline job={isJob(row) ? row : { ...row, status: row.phase, estimated_start_latest: null }} />,
  },
  { name: diskHead, cell: (row) => <DiskOf row={row} /> },
  { name: actionsHead, cell: (row) => (isJob(row) ? <Actions job={row} /> : <OtherLinks environment={row} />) },
];

function Actions({ job }: { readonly job: JobSummary }) {
  return (
    <span className="buttons">
      {job.status === "active" && (
        <a className="button" href={`/jobs/${job.job_id}/terminal`}>
          Terminal
        </a>
      )}
      {isLiving(job) && <Extend job={job} />}
      {isLiving(job) && <End job={job} />}
    </span>
  );
}

function Why({ job }: { readonly job: JobSummary }) {
  const reason = describeReason(job);
  return reason && <span className={reason.className}>{reason.text}</span>;
}

/** The console has no screen for the disks of other APIs. */
function DiskOf({ row }: { readonly row: Row }) {
  if (row.disk_name === null) return <span className="faint">none</span>;
  if (!isJob(row)) return <bdi>{printable(row.disk_name, 64)}</bdi>;
  return <Link href={`/disks/${encodeURIComponent(row.disk_name)}`}>{printable(row.disk_name, 64)}</Link>;
}

/** Announces each job whose state changed since the last read. */
function useSpokenStates(jobs: readonly JobSummary[] | undefined): void {
  const before = useRef<ReadonlyMap<string, string>>(undefined);
  useEffect(() => {
    if (!jobs) return;
    const now = new Map(jobs.map(({ job_id, status }) => [job_id, status]));
    const changed = jobs.filter(({ job_id, status }) => before.current && before.current.get(job_id) !== status);
    if (changed.length > 0) {
      announce(changed.map((job) => `${printable(job.name, 60)} is ${printable(job.status, 40)}`).join(". "));
    }
    before.current = now;
  }, [jobs]);
}

/** Ended jobs are read only while they are unfolded. */
function Ended() {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <details className="ended" onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary>Ended environments</summary>
      {isOpen && <EndedList />}
    </details>
  );
}

function EndedList() {
  const query = useEnded();
  return (
    <Loaded query={query}>
      {(rows) =>
        rows.length === 0 ? (
          <Empty title="Nothing has ended yet" />
        ) : (
          <Table caption="Ended environments" columns={endedColumns} rows={rows} rowKey={rowKey} />
        )
      }
    </Loaded>
  );
}

const endedColumns: readonly Column<Row>[] = [
  nameColumn,
  stateColumn,
  machineColumn,
  { name: "Ended", cell: ({ ended_at }) => ended_at !== null && <At time={ended_at} /> },
  { name: "GPU-hours", isNumber: true, cell: (row) => isJob(row) && row.gpu_hours },
  {
    name: "Log",
    cell: (row) =>
      isJob(row) ? (
        <Link href={`/jobs/${row.job_id}/logs`}>Log of {printable(jobWord(row), 40)}</Link>
      ) : (
        <OtherLinks environment={row} />
      ),
  },
];
