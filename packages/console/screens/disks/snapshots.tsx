import { useState } from "react";
import type { Snapshot } from "../../../sdk/disks.ts";
import { useAct } from "../../data/acts.ts";
import { berth, collect } from "../../data/client.ts";
import { useLive } from "../../data/live.ts";
import { waitForOperation } from "../../data/wait-for-end.ts";
import { formatTime, printable } from "../../data/words.ts";
import { Ask } from "../../parts/ask.tsx";
import { At } from "../../parts/clock.tsx";
import { Field, TextField } from "../../parts/field.tsx";
import { Empty, Loaded } from "../../parts/notices.tsx";
import { type Column, Table } from "../../parts/table.tsx";

/** Reads the snapshots of a disk, the newest first. */
function useSnapshots(name: string) {
  return useLive(["snapshots", name], (signal) => collect(berth.disks.snapshots(name, { signal })));
}

export function LastBackup({ name }: { readonly name: string }) {
  const { data: snapshots } = useSnapshots(name);
  const last = snapshots?.find(({ kind, status }) => kind === "backup" && status === "completed");
  if (last) return <At time={last.snapshot_date} />;
  return <span className="faint">{snapshots ? "none yet" : "…"}</span>;
}

export function Snapshots({ name }: { readonly name: string }) {
  const query = useSnapshots(name);
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
    { name: "Kind", cell: ({ kind }) => describeKind(kind) },
    { name: "State", cell: ({ status }) => printable(status, 40) },
    { name: "Actions", cell: (snapshot) => isWhole(snapshot) && <Restore name={name} snapshots={[snapshot]} /> },
  ];
}

function describeKind(kind: Snapshot["kind"]): string {
  return kind === "backup" ? "backup" : "on demand";
}

function isWhole({ status }: Snapshot): boolean {
  return status === "completed";
}

/** Makes a new disk of a snapshot that the user chooses. The newest comes first. */
export function RestoreAny({ name }: { readonly name: string }) {
  const { data: snapshots = [] } = useSnapshots(name);
  return <Restore name={name} snapshots={snapshots.filter(isWhole)} />;
}

interface RestoreProps {
  readonly name: string;
  readonly snapshots: readonly Snapshot[];
}

function Restore({ name, snapshots }: RestoreProps) {
  const act = useAct(`disk ${name}`);
  const usualName = `${name}-restored`.slice(0, 64);
  const [newName, setNewName] = useState(usualName);
  const [chosen, setChosen] = useState("");
  const snapshot = snapshots.find(({ snapshot_id }) => snapshot_id === chosen) ?? snapshots[0];
  const isName = /^[a-zA-Z0-9_-]{1,64}$/.test(newName);
  const clear = () => {
    setNewName(usualName);
    setChosen("");
  };
  const restore = async (snapshot_id: string) => {
    await waitForOperation(await berth.disks.restore(name, { snapshot_id, new_name: newName }));
  };
  return (
    <Ask
      title={snapshots.length === 1 ? "Make a new disk of this snapshot" : `Make a new disk of a snapshot of ${name}`}
      label="Restore"
      words={`berth disks restore ${name} ${isName ? newName : "NEW-NAME"} --snapshot ${snapshot?.snapshot_id ?? "ID"}`}
      isReady={isName && snapshot !== undefined}
      act={() => snapshot && void act(`Restore to ${newName}`, () => restore(snapshot.snapshot_id))}
      clear={clear}
    >
      {snapshot ? (
        <p>
          The new disk holds the files of <At time={snapshot.snapshot_date} />. {printable(name, 80)} stays as it is.
        </p>
      ) : (
        <p>No snapshot is known yet.</p>
      )}
      {snapshots.length > 1 && (
        <SnapshotChoice snapshots={snapshots} chosen={snapshot?.snapshot_id} choose={setChosen} />
      )}
      <TextField label="Name of the new disk" value={newName} set={setNewName} />
    </Ask>
  );
}

interface ChoiceProps {
  readonly snapshots: readonly Snapshot[];
  readonly chosen: string | undefined;
  choose(id: string): void;
}

function SnapshotChoice({ snapshots, chosen, choose }: ChoiceProps) {
  return (
    <Field label="Snapshot">
      {(id) => (
        <select id={id} value={chosen} onChange={({ target }) => choose(target.value)}>
          {snapshots.map(({ snapshot_id, snapshot_date, kind }) => (
            <option key={snapshot_id} value={snapshot_id}>
              {formatTime(snapshot_date)}, {describeKind(kind)}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
