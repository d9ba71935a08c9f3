import type { Disk } from "#core/disks/record.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import type { MemoryVolumes } from "../memory-volumes.ts";

/** The part of the watch that knows disks which are made of other disks' snapshots. */
export interface RestoreWatch {
  /** Before the disk is among those that were written. */
  wroteDisk(next: Disk): void;
  watching(volumes: Volumes): Volumes;
  /** What is wrong in the end with disks that somebody was told of. */
  final(answered: readonly string[]): string[];
}

export function restoreWatch(options: {
  readonly disks: ReadonlyMap<string, Disk>;
  readonly volumes: Pick<MemoryVolumes, "snapshotState" | "history">;
  readonly violated: (text: string) => void;
}): RestoreWatch {
  const { disks, volumes, violated } = options;
  const isThere = ({ source }: Disk) => source !== undefined && volumes.snapshotState(source.id) === "completed";

  return {
    wroteDisk(next) {
      const before = disks.get(next.uid);
      const isLost = before && before.lostAt === undefined && next.lostAt !== undefined;
      if (isLost && next.volume === null && isThere(next))
        violated(`disk ${next.name} was called lost, and its snapshot is there`);
    },
    watching: (ports) => ({
      ...ports,
      async createVolume(wanted) {
        const disk = [...disks.values()].find(({ making }) => making.some(({ token }) => token === wanted.token));
        const isFirst = disk?.volume === null && disk.source && disk.snapshots.length === 0;
        if (isFirst && wanted.snapshotId !== disk.source?.id)
          violated(`disk ${disk.name} begins with ${wanted.snapshotId}, and was to begin with ${disk.source?.id}`);
        return ports.createVolume(wanted);
      },
      async removeSnapshot(id) {
        const promised = [...disks.values()].flatMap(({ restores = [] }) => restores);
        const needs = promised.some(({ snapshot, disk }) => snapshot === id && mayNeed(disks.get(disk)));
        if (needs && volumes.snapshotState(id) !== undefined)
          violated(`snapshot ${id} was removed, and a disk is to be made of it`);
        return ports.removeSnapshot(id);
      },
    }),
    final(answered) {
      const removed = new Set(volumes.history().map(({ kind, snapshot }) => kind === "snapshotRemoved" && snapshot));
      return answered.flatMap((uid) => {
        const disk = disks.get(uid);
        if (!disk) return [`a disk that was made of a snapshot has no record: ${uid}`];
        const isBroken = mayNeed(disk) && disk.source !== undefined && removed.has(disk.source.id);
        return isBroken ? [`disk ${disk.name} is made of ${disk.source?.id}, which was removed`] : [];
      });
    },
  };
}

/** Whether it has no backup of its own yet; one that is not written yet may come. */
function mayNeed(disk: Disk | undefined): boolean {
  if (!disk) return true;
  const isOver = disk.phase === "purging" || disk.phase === "purged";
  return !isOver && !disk.snapshots.some(({ completed }) => completed);
}
