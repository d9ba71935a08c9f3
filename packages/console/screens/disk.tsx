import { useState } from "react";
import { useLocation } from "wouter";
import type { Disk, Snapshot } from "../../sdk/disks.ts";
import { useAct } from "../data/acts.ts";
import { berth, collect } from "../data/client.ts";
import { useLive } from "../data/live.ts";
import { printable, printableLog } from "../data/words.ts";
import { Ask } from "../parts/ask.tsx";
import { At } from "../parts/clock.tsx";
import { Facts } from "../parts/facts.tsx";
import { TextField } from "../parts/field.tsx";
import { Title } from "../parts/layout.tsx";
import { Empty, Loaded } from "../parts/notices.tsx";
import { Outcome } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { DiskState, Undelete } from "./disks.tsx";

export function DiskScreen({ name }: { readonly name: string }) {
  const query = useLive(["disk", name], (signal) => berth.disks.get(name, { signal }));
  return (
    <>
      {!query.data && <Title title={name} />}
      <Loaded query={query}>{(disk) => <DiskPage disk={disk} />}</Loaded>
    </>
  );
}

function DiskPage({ disk }: { readonly disk: Disk }) {
  const { disk_name: name } = disk;
  return (
    <>
      <Title title={name}>
        {disk.is_deleted ? (
          <Undelete disk={disk} />
        ) : (
          <>
            <MakeSnapshot name={name} />
            <Rename name={name} />
            <Delete disk={disk} />
          </>
        )}
      </Title>
      <p className="headline">
        <DiskState disk={disk} />
      </p>
      <Outcome subject={`disk ${name}`} />
      <div className="columns">
        <section>
          <h2>About it</h2>
          <Facts
            facts={[
              ["Size", `${disk.size_gb} GB`],
              ["Created", <At key="created" time={disk.created_at} />],
              ["Last used", disk.last_used === null ? "never" : <At key="used" time={disk.last_used} />],
              ["Backups", "made when an environment that used it ends; the newest three are kept"],
            ]}
          />
        </section>
        <Snapshots name={name} />
      </div>
      <Files name={name} />
    </>
  );
}

function Snapshots({ name }: { readonly name: string }) {
  const query = useLive(["snapshots", name], (signal) => collect(berth.disks.snapshots(name, { signal })));
  return (
    <section>
      <h2>Snapshots</h2>
      <Loaded query={query}>
        {(snapshots) =>
          snapshots.length === 0 ? (
            <Empty title="It has no snapshot yet" />
          ) : (
            <Table
              caption="Snapshots"
              columns={snapshotColumns(name)}
              rows={snapshots}
              rowKey={({ snapshot_id }) => snapshot_id}
            />
          )
        }
      </Loaded>
    </section>
  );
}

function snapshotColumns(name: string): Column<Snapshot>[] {
  return [
    { name: "Made at", cell: ({ snapshot_date }) => <At time={snapshot_date} /> },
    { name: "Kind", cell: ({ kind }) => (kind === "backup" ? "backup" : "on demand") },
    { name: "State", cell: ({ status }) => printable(status, 40) },
    {
      name: "Actions",
      cell: (snapshot) => snapshot.status === "completed" && <Restore name={name} snapshot={snapshot} />,
    },
  ];
}

function Restore({ name, snapshot }: { readonly name: string; readonly snapshot: Snapshot }) {
  const act = useAct(`disk ${name}`);
  const [newName, setNewName] = useState(`${name}-restored`.slice(0, 64));
  const isName = /^[a-zA-Z0-9_-]{1,64}$/.test(newName);
  const { snapshot_id } = snapshot;
  const restore = async () => {
    await berth.disks.settle(await berth.disks.restore(name, { snapshot_id, new_name: newName }));
  };
  return (
    <Ask
      title="Make a new disk of this snapshot"
      label="Restore"
      words={`berth disks restore ${name} ${isName ? newName : "NEW-NAME"} --snapshot ${snapshot_id}`}
      isReady={isName}
      act={() => void act(`Restore to ${newName}`, restore)}
    >
      <p>
        The new disk holds the files of <At time={snapshot.snapshot_date} />. {printable(name, 80)} stays as it is.
      </p>
      <TextField label="Name of the new disk" value={newName} set={setNewName} />
    </Ask>
  );
}

function MakeSnapshot({ name }: { readonly name: string }) {
  const act = useAct(`disk ${name}`);
  const make = async () => {
    await berth.disks.settle(await berth.disks.snapshot(name));
  };
  return (
    <Ask
      title={`Make a snapshot of ${name}`}
      label="Snapshot"
      words={`berth disks snapshot ${name}`}
      act={() => void act("Snapshot", make)}
    >
      <p>It keeps the files as they are now. The newest five stay: one more removes the oldest of them.</p>
    </Ask>
  );
}

function Rename({ name }: { readonly name: string }) {
  const act = useAct(`disk ${name}`);
  const [newName, setNewName] = useState(name);
  const [, navigate] = useLocation();
  const isName = /^[a-zA-Z0-9_-]{1,64}$/.test(newName) && newName !== name;
  const rename = async () => {
    await berth.disks.rename(name, newName);
    navigate(`/disks/${encodeURIComponent(newName)}`);
  };
  return (
    <Ask
      title={`Rename ${name}`}
      label="Rename"
      words={`berth disks rename ${name} ${isName ? newName : "NEW-NAME"}`}
      isReady={isName}
      act={() => void act("Rename", rename)}
    >
      <TextField label="New name" hint="Letters, digits, _ and -" value={newName} set={setNewName} />
    </Ask>
  );
}

function Delete({ disk }: { readonly disk: Disk }) {
  const { disk_name: name } = disk;
  const act = useAct(`disk ${name}`);
  const remove = async () => {
    await berth.disks.settle(await berth.disks.delete(name));
  };
  return (
    <Ask
      title={`Delete ${name}`}
      label="Delete"
      isDangerous
      typed={name}
      words={`berth disks rm ${name}`}
      act={() => void act("Delete", remove)}
    >
      <p>
        No environment can use it any more. Its {disk.size_gb} GB of files and {disk.snapshot_count} snapshots are kept
        for some weeks, and it can be brought back until then. <strong>After that they are lost.</strong>
      </p>
    </Ask>
  );
}

/** What the last backup saw, read only while it is unfolded. */
function Files({ name }: { readonly name: string }) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <details className="ended" onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary>Files that the last backup saw</summary>
      {isOpen && <FileList name={name} />}
    </details>
  );
}

function FileList({ name }: { readonly name: string }) {
  const query = useLive(["content", name], (signal) => berth.disks.content(name, { signal }));
  return (
    <Loaded query={query}>
      {({ content, message }) =>
        content === null ? (
          <Empty title={printable(message ?? "No list was kept", 300)} />
        ) : (
          <pre className="code">{printableLog(content)}</pre>
        )
      }
    </Loaded>
  );
}
