import type { Disk } from "#core/disks/record.ts";
import type { Environment } from "#core/environments/record/record.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import { runName } from "../../fakes/memory-cluster.ts";
import type { MemoryCompute } from "../../fakes/memory-compute.ts";
import type { MemoryVolumes } from "../../fakes/memory-volumes.ts";

/**
 * Checks that what a job wrote to a disk is on a volume or in a completed snapshot at every instant, until the disk is
 * purged. Only the removal of a volume or a snapshot can end that.
 */
export interface KeptWorkWatch {
  wroteEnvironment(next: Environment): void;
  watching(volumes: Volumes): Pick<Volumes, "createVolume" | "createSnapshot" | "removeVolume" | "removeSnapshot">;
}

/** What has the work of the last run that wrote to a disk. */
interface Copies {
  readonly volumes: Set<string>;
  readonly snapshots: Set<string>;
}

export function keptWorkWatch(options: {
  readonly compute: Pick<MemoryCompute, "starts" | "mounting">;
  readonly volumes: Pick<MemoryVolumes, "findContent" | "snapshotState" | "history">;
  readonly disks: ReadonlyMap<string, Disk>;
  readonly violated: (text: string) => void;
}): KeptWorkWatch {
  const { compute, volumes, disks, violated } = options;
  /** Runs that may begin on a volume, as `<uid>-r<run>`. */
  const opened = new Map<string, { uid: string; run: number; disk: string; volume: string }>();
  const begun = new Set<string>();
  const copies = new Map<string, Copies>();

  /** Notes the runs that began since the last call. Older copies lack what they write. */
  function noteBegun(): void {
    for (const [name, { uid, run, disk, volume }] of opened) {
      if (compute.starts(uid, run) === 0) continue;
      opened.delete(name);
      begun.add(name);
      copies.set(disk, { volumes: new Set([volume]), snapshots: new Set() });
    }
  }

  function findCopies(has: (copies: Copies) => boolean): Copies[] {
    return [...copies.values()].filter(has);
  }

  function check(): void {
    for (const [uid, { volumes: ids, snapshots }] of copies) {
      const { name, phase } = disks.get(uid) ?? {};
      const isOver = phase === "purging" || phase === "purged";
      const isKept = [...ids].some(isThere) || [...snapshots].some((id) => volumes.snapshotState(id) === "completed");
      if (!isOver && isKept) continue;
      copies.delete(uid);
      if (!isOver && ![...ids, ...snapshots].some(isLost)) violated(`what a job wrote to disk ${name} is lost`);
    }
  }

  function isThere(volume: string): boolean {
    return volumes.findContent(volume) !== undefined;
  }

  /** Reports whether the weather lost this volume or snapshot. */
  function isLost(id: string): boolean {
    const events = volumes.history().filter(({ volume, snapshot }) => id === (snapshot ?? volume));
    const kinds = new Set(events.map(({ kind }) => kind));
    const isLostSnapshot = volumes.snapshotState(id) === undefined && kinds.has("snapshot");
    return kinds.has("lost") || (isLostSnapshot && !kinds.has("snapshotRemoved"));
  }

  async function checked(remove: () => Promise<void>): Promise<void> {
    noteBegun();
    await remove();
    check();
  }

  return {
    wroteEnvironment({ uid, run, disk }) {
      const volume = disks.get(disk?.uid ?? "")?.volume;
      const name = runName(uid, run.n);
      if (!disk?.attached || !volume || run.applyingAt === null || opened.has(name) || begun.has(name)) return;
      opened.set(name, { uid, run: run.n, disk: disk.uid, volume: volume.id });
    },
    watching: (ports) => ({
      async createVolume(wanted) {
        noteBegun();
        const volume = await ports.createVolume(wanted);
        const { snapshotId = "" } = wanted;
        for (const found of findCopies(({ snapshots }) => snapshots.has(snapshotId))) found.volumes.add(volume.id);
        return volume;
      },
      async createSnapshot(id, tags) {
        noteBegun();
        const isInUse = compute.mounting(id).length > 0;
        const snapshot = await ports.createSnapshot(id, tags);
        const found = isInUse ? [] : findCopies((each) => each.volumes.has(id));
        for (const each of found) each.snapshots.add(snapshot.id);
        return snapshot;
      },
      removeVolume: (id) => checked(() => ports.removeVolume(id)),
      removeSnapshot: (id) => checked(() => ports.removeSnapshot(id)),
    }),
  };
}
