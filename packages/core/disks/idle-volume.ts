import type { WorkerContext } from "../reconciler/step.ts";
import { DAY_MS } from "../units.ts";
import { type Disk, isPending, type Unremoved, withVolumeSeen } from "./record.ts";
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
  return hasWholeSnapshot(disk) ? (disk.lastUsedAt ?? disk.createdAt) + idleDays * DAY_MS : null;
}

/** Reports whether the snapshot that the next volume would be made from has everything on the present one. */
function hasWholeSnapshot({ snapshots, savedIn }: Disk): boolean {
  const newest = snapshots.at(-1);
  if (snapshots.some(isPending) || !newest?.completed) return false;
  const isSeen = newest.missedAt === undefined && newest.removingUntil === undefined;
  return isSeen && snapshots.some(({ id }) => id === savedIn) && (newest.id === savedIn || newest.onDemand === true);
}

/**
 * Lets the volume of a disk go that was unused for long, just after its snapshots were seen. Returns the disk unchanged
 * if somebody uses the volume, or if the volume has a snapshot that is not in the record. A table restored from a backup
 * lacks such a snapshot, and also the job that wrote its contents.
 */
export async function letIdleVolumeGo(ctx: WorkerContext, disk: Disk, now: number): Promise<Disk> {
  const { diskVolumeIdleDays, orphansDryRun } = ctx.settings;
  const idleSince = idleAt(disk, diskVolumeIdleDays);
  const { volume } = disk;
  if (idleSince === null || now < idleSince || !volume || orphansDryRun) return disk;
  const [seen, listed] = await Promise.all([ctx.volumes.findVolume(volume.id), ctx.volumes.listSnapshots(volume.id)]);
  if (!seen) return withVolumeSeen(disk, false, ctx.clock.now());
  const known = new Set(disk.snapshots.map(({ id }) => id));
  const isKnown = listed.every(({ id, state }) => known.has(id) || state === "failed");
  if (seen.attached || !isKnown) return disk;
  return { ...disk, volume: null, idleVolume: { id: volume.id } };
}

/** Removes the volume that a snapshot took the place of, if that is still seen. The record names it until it is gone. */
export async function removeIdleVolume(ctx: WorkerContext, disk: Disk, now: number): Promise<Disk> {
  const { idleVolume } = disk;
  if (!idleVolume || now < (removedAgainAt(disk) ?? now)) return disk;
  const why = await whyNot(async () => {
    const newest = disk.snapshots.findLast(({ completed }) => completed);
    const found = newest && (await ctx.volumes.findSnapshot(newest.id));
    if (found?.state !== "completed") throw new Error("the backup that replaces it is not seen");
    await ctx.volumes.removeVolume(idleVolume.id);
  });
  if (why === undefined) return { ...disk, idleVolume: undefined };
  const tries = (idleVolume.unremoved?.tries ?? 0) + 1;
  reportUnremoved(ctx, "volumes not removed", tries, { disk: disk.uid, left: [`${idleVolume.id}: ${why}`] });
  return { ...disk, idleVolume: { ...idleVolume, unremoved: { why, tries, at: now } } };
}

/** Returns when a refused removal is tried again, ms; null if none was refused. */
export function removedAgainAt({ idleVolume }: Disk): number | null {
  return idleVolume?.unremoved ? removalAgainAt(idleVolume.unremoved) : null;
}
