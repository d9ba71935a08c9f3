import { useState } from "react";
import { Link } from "wouter";
import type { Disk } from "../../../sdk/disks.ts";
import { berth, collect } from "../../data/client.ts";
import { useLive } from "../../data/live.ts";
import { printable } from "../../data/words.ts";
import { At } from "../../parts/clock.tsx";
import { CommandLine } from "../../parts/command-line.tsx";
import { Title } from "../../parts/layout.tsx";
import { Empty, Loaded } from "../../parts/notices.tsx";
import { Outcome } from "../../parts/state.tsx";
import { type Column, Table } from "../../parts/table.tsx";
import { Create, Undelete } from "./disk-acts.tsx";

export function useDisks() {
  return useLive(["disks"], (signal) => collect(berth.disks.list({ signal })));
}

export function Disks() {
  const query = useDisks();
  return (
    <>
      <Title title="Disks">
        <Create />
      </Title>
      <Outcome subject="disks" />
      <Loaded query={query}>
        {(disks) =>
          disks.length === 0 ? (
            <Empty title="You have no disk">
              <p>A disk keeps files when an environment ends. Berth backs it up by itself.</p>
              <CommandLine words="berth disks create data" />
            </Empty>
          ) : (
            <Table caption="Your disks" columns={columns} rows={disks} rowKey={({ disk_name }) => disk_name} />
          )
        }
      </Loaded>
      <Deleted />
    </>
  );
}

const nameColumn: Column<Disk> = {
  name: "Name",
  cell: ({ disk_name }) => (
    <Link href={`/disks/${encodeURIComponent(disk_name)}`} className="name">
      <bdi>{printable(disk_name, 64)}</bdi>
    </Link>
  ),
};

const columns: readonly Column<Disk>[] = [
  nameColumn,
  {
    name: "State",
    cell: (disk) => (
      <>
        <DiskState disk={disk} />
        <Outcome subject={`disk ${disk.disk_name}`} />
      </>
    ),
  },
  { name: "Size", isNumber: true, cell: ({ size_gb }) => `${size_gb} GB` },
  { name: "Snapshots", isNumber: true, cell: ({ snapshot_count }) => snapshot_count },
  { name: "Last used", cell: ({ last_used }) => (last_used === null ? "never" : <At time={last_used} />) },
];

export function DiskState({ disk }: { readonly disk: Disk }) {
  if (disk.is_deleted) return <span className="state state-cancelled">deleted</span>;
  if (disk.reservation_id !== null && disk.in_use) {
    return (
      <>
        <span className="state state-active">in use</span> by{" "}
        <Link href={`/jobs/${disk.reservation_id}`}>{printable(disk.reservation_id.slice(0, 8))}</Link>
      </>
    );
  }
  if (disk.is_backing_up) return <span className="state state-preparing">being backed up</span>;
  return <span className="state">free</span>;
}

/** Deleted disks are read only while they are unfolded. */
function Deleted() {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <details className="ended" onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary>Deleted disks</summary>
      {isOpen && <DeletedList />}
    </details>
  );
}

export function useDeletedDisks() {
  return useLive(["disks", "deleted"], (signal) => collect(berth.disks.list({ deleted: true, signal })));
}

function DeletedList() {
  const query = useDeletedDisks();
  return (
    <Loaded query={query}>
      {(disks) =>
        disks.length === 0 ? (
          <Empty title="No disk was deleted" />
        ) : (
          <Table caption="Deleted disks" columns={deletedColumns} rows={disks} rowKey={({ disk_name }) => disk_name} />
        )
      }
    </Loaded>
  );
}

const deletedColumns: readonly Column<Disk>[] = [
  nameColumn,
  { name: "Size", isNumber: true, cell: ({ size_gb }) => `${size_gb} GB` },
  { name: "Gone for good on", cell: ({ delete_date }) => printable(delete_date ?? "unknown", 40) },
  {
    name: "Actions",
    cell: (disk) => (
      <>
        <Undelete disk={disk} />
        <Outcome subject={`disk ${disk.disk_name}`} />
      </>
    ),
  },
];
