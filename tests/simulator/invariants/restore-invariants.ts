import { GONE_MS } from "#core/disks/absence.ts";
import type { Disk } from "#core/disks/record.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import type { MemoryVolumes } from "../../fakes/memory-volumes.ts";
import type { DiskWatch } from "./disk-invariants.ts";

export interface RestoreWatch {
  /** Call it before the disk counts as written. */
  wroteDisk(next: Disk): void;
  watching(volumes: Volumes): Volumes;
  /** Whether the disk's source exists and was not hidden for long. */
  isSourceSeen(disk: Disk): boolean;
  /** Returns what is wrong with answered restores at the end. */
  final(answered: readonly string[]): string[];
}

/** Time between an observation and its write. */
const CHECK_MS = 60_000;
/** Shortest absence before a source counts as gone, with the hosts' clocks apart. */
const LEAST_GONE_MS = GONE_MS - 30_000;

export function restoreWatch(options: {
  readonly disks: Pick<DiskWatch, "all" | "hasWork" | "mayHaveWork">;
  readonly volumes: Pick<MemoryVolumes, "snapshotState" | "findHiding" | "history">;
  readonly violated: (text: string) => void;
  readonly now: () => number;
}): RestoreWatch {
  const { volumes, violated, now } = options;
  const disks = options.disks.all();
  const { mayHaveWork } = options.disks;

  /** A source that returns after a long time counts as gone until it is checked again. */
  function isSourceSeen({ source }: Disk): boolean {
    if (source === undefined || volumes.snapshotState(source.id) !== "completed") return false;
    const { from, until } = volumes.findHiding(source.id) ?? { from: 0, until: 0 };
    const isLong = Math.min(now(), until) - from >= LEAST_GONE_MS;
    return !isLong || now() >= until + CHECK_MS;
  }

  function couldBeMade(disk: Disk): boolean {
    return mayNeed(disk) && !mayHaveWork(disk) && isSourceSeen(disk);
  }

  /** Lists the used disks that depend on this snapshot alone. */
  function dependents(id: string): Disk[] {
    const isUsed = ({ volume, heldBy, lastUsedAt }: Disk) => volume !== null || heldBy !== null || lastUsedAt !== null;
    return [...disks.values()].filter((disk) => disk.source?.id === id && mayNeed(disk) && isUsed(disk));
  }

  /** Reports whether the snapshot's disk is being purged, which removes all its snapshots. */
  function isPurging(id: string): boolean {
    const disk = [...disks.values()].find(({ snapshots }) => snapshots.some((snapshot) => snapshot.id === id));
    return disk?.phase === "purging";
  }

  return {
    isSourceSeen,
    wroteDisk(next) {
      const before = disks.get(next.uid);
      const isLost = before && before.lostAt === undefined && next.lostAt !== undefined;
      if (isLost && couldBeMade(next)) violated(`disk ${next.name} was called lost, and its snapshot is there`);
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
        const isDepended = needs || dependents(id).length > 0;
        if (isDepended && volumes.snapshotState(id) !== undefined && !isPurging(id))
          violated(`snapshot ${id} was removed, and a disk is to be made of it`);
        return ports.removeSnapshot(id);
      },
    }),
    final(answered) {
      const removed = new Set(volumes.history().map(({ kind, snapshot }) => kind === "snapshotRemoved" && snapshot));
      const promised = new Set([...disks.values()].flatMap(({ restores = [] }) => restores.map(({ disk }) => disk)));
      return answered.flatMap((uid) => {
        const disk = disks.get(uid);
        if (!disk) return [`a disk that was made of a snapshot has no record: ${uid}`];
        if (!mayNeed(disk) || disk.source === undefined) return [];
        const { name, source, lostAt } = disk;
        if (removed.has(source.id)) return [`disk ${name} is made of ${source.id}, which was removed`];
        const isThere = volumes.snapshotState(source.id) === "completed";
        if (isThere && !promised.has(uid)) return [`disk ${name} is made of ${source.id}, which is not kept for it`];
        return lostAt !== undefined && couldBeMade(disk) ? [`disk ${name} stays lost, and its snapshot is there`] : [];
      });
    },
  };
}

/** Reports whether the disk has no backup of its own. An unwritten one may still come. */
function mayNeed(disk: Disk | undefined): boolean {
  if (!disk) return true;
  const isOver = disk.phase === "purging" || disk.phase === "purged";
  return !isOver && !disk.snapshots.some(({ completed }) => completed);
}
