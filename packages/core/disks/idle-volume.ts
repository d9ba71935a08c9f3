import type { WorkerContext } from "../reconciler/step.ts";
import { DAY_MS } from "../units.ts";
import { type Disk, type DiskSnapshot, isPending, type Unremoved } from "./record.ts";
import { removalAgainAt, reportUnremoved, whyNot } from "./removal.ts";

export interface IdleVolume {
  readonly id: string;
  /** The refused removal; absent before the first try. */
  readonly unremoved?: Unremoved | undefined;
}

/**
 * Returns when a disk that is free has been unused for so long that a snapshot may take the place of its volume, ms;
 * null if none may. A volume costs more than its snapshot, and binds each job to its zone.
 */
export function idleAt(disk: Disk, idleDays: number): number | null {
  const { phase, volume, volumeMissedAt, lostAt, lost, snapshotRequest, heldBy, next, making, idleVolume } = disk;
  const isFree = phase === "available" && heldBy === null && next === null && idleVolume === undefined;
  const isSettled = making.length === 0 && !lost && !snapshotRequest;
  const isSeen = volume !== null && volumeMissedAt === undefined && lostAt === undefined;
  if (idleDays === 0 || !isFree || !isSettled || !isSeen) return null;
  return wholeSnapshot(disk) ? (disk.lastUsedAt ?? disk.createdAt) + idleDays * DAY_MS : null;
}

/** Returns the snapshot that the next volume would be made from, if it has everything that is on the present one. */
function wholeSnapshot({ snapshots, savedIn }: Disk): DiskSnapshot | undefined {
  if (snapshots.some(isPending)) return undefined;
  const newest = snapshots.at(-1);
  const isWhole = snapshots.some(({ id }) => id === savedIn) && (newest?.id === savedIn || newest?.onDemand);
  return newest?.completed && newest.missedAt === undefined && newest.removingUntil === undefined && isWhole
    ? newest
    : undefined;
}

/**
 * Lets the volume of a disk go that was unused for long, just after its snapshots were seen. Returns the disk unchanged
 * unless the volume is seen too, nobody uses it, and it has no later snapshot that the record does not know: that would
 * show a job which the record does not know either, because the table was restored from a backup.
 */
export async function letIdleVolumeGo(ctx: WorkerContext, disk: Disk, now: number): Promise<Disk> {
  const { diskVolumeIdleDays, orphansDryRun } = ctx.settings;
  const idleSince = idleAt(disk, diskVolumeIdleDays);
  const { volume } = disk;
  const whole = wholeSnapshot(disk);
  if (idleSince === null || now < idleSince || !volume || !whole || orphansDryRun) return disk;
  const [seen, listed] = await Promise.all([ctx.volumes.findVolume(volume.id), ctx.volumes.listSnapshots(volume.id)]);
  const known = new Set(disk.snapshots.map(({ id }) => id));
  const isKnown = listed.every(({ id, at, state }) => known.has(id) || at < whole.at || state === "failed");
  if (!seen || seen.attached || !isKnown) return disk;
  return { ...disk, volume: null, idleVolume: { id: volume.id } };
}

/** Removes the volume that a snapshot took the place of. The record names it until it is gone. */
export async function removeIdleVolume(ctx: WorkerContext, disk: Disk, now: number): Promise<Disk> {
  const { idleVolume } = disk;
  if (!idleVolume || now < (removedAgainAt(disk) ?? now)) return disk;
  const why = await whyNot(() => ctx.volumes.removeVolume(idleVolume.id));
  if (why === undefined) return { ...disk, idleVolume: undefined };
  const tries = (idleVolume.unremoved?.tries ?? 0) + 1;
  reportUnremoved(ctx, "volumes not removed", tries, { disk: disk.uid, left: [`${idleVolume.id}: ${why}`] });
  return { ...disk, idleVolume: { ...idleVolume, unremoved: { why, tries, at: now } } };
}

/** Returns when a refused removal is tried again, ms; null if none was refused. */
export function removedAgainAt({ idleVolume }: Disk): number | null {
  return idleVolume?.unremoved ? removalAgainAt(idleVolume.unremoved) : null;
}
