import type { WorkerContext } from "../reconciler/step.ts";
import { DAY_MS } from "../units.ts";
import { type Disk, type Unremoved, withVolumeSeen } from "./record.ts";
import { removalAgainAt, reportUnremoved, whyNot } from "./removal.ts";
import { isBlank, isReplaceable } from "./replaceable.ts";

export interface IdleVolume {
  readonly id: string;
  /** Whether it was never written to, so that no backup needs to replace it. */
  readonly isBlank?: true | undefined;
  /** The refused removal; absent before the first try. */
  readonly unremoved?: Unremoved | undefined;
}

/**
 * Returns when a disk that is free has been unused for so long that a snapshot may take the place of its volume, ms;
 * null if none may. A volume costs more than its snapshot, and binds each job to its zone.
 */
export function idleAt(disk: Disk, idleDays: number): number | null {
  const isFree = disk.heldBy === null && disk.next === null;
  if (idleDays === 0 || !isFree || !isReplaceable(disk)) return null;
  return (disk.lastUsedAt ?? disk.createdAt) + idleDays * DAY_MS;
}

/** Lets the volume of a disk go that was unused for long. */
export async function letIdleVolumeGo(ctx: WorkerContext, disk: Disk, now: number): Promise<Disk> {
  const { diskVolumeIdleDays, orphansDryRun } = ctx.settings;
  const idleSince = idleAt(disk, diskVolumeIdleDays);
  return idleSince === null || now < idleSince || orphansDryRun ? disk : letVolumeGo(ctx, disk);
}

/**
 * Takes the volume of a replaceable disk out of its record. Returns the disk unchanged if the volume is attached, if
 * the backup that replaces it is gone, or if the volume has a snapshot that is not in the record. A table restored from
 * a backup lacks such a snapshot, and also the job that wrote its contents.
 */
export async function letVolumeGo(ctx: WorkerContext, disk: Disk, holder?: string): Promise<Disk> {
  const { volume } = disk;
  if (!volume) return disk;
  const [seen, listed] = await Promise.all([ctx.volumes.findVolume(volume.id), ctx.volumes.listSnapshots(volume.id)]);
  if (!seen) return withVolumeSeen(disk, false, ctx.clock.now());
  const known = new Set(disk.snapshots.map(({ id }) => id));
  const isKnown = listed.every(({ id, state }) => known.has(id) || state === "failed");
  if (seen.attached || !isKnown) return disk;
  if (isBlank(disk, holder)) return { ...disk, volume: null, idleVolume: { id: volume.id, isBlank: true } };
  return (await isBackupSeen(ctx, disk)) ? { ...disk, volume: null, idleVolume: { id: volume.id } } : disk;
}

/** Reports whether the volume service has the backup that the next volume is made from. */
async function isBackupSeen(ctx: WorkerContext, { snapshots }: Disk): Promise<boolean> {
  const newest = snapshots.findLast(({ completed }) => completed);
  return newest !== undefined && (await ctx.volumes.findSnapshot(newest.id))?.state === "completed";
}

/** Removes the volume that a snapshot took the place of, if that is still seen. The record names it until it is gone. */
export async function removeIdleVolume(ctx: WorkerContext, disk: Disk, now: number): Promise<Disk> {
  const { idleVolume } = disk;
  if (!idleVolume || now < (removedAgainAt(disk) ?? now)) return disk;
  const why = await whyNot(async () => {
    const isReplaced = idleVolume.isBlank || (await isBackupSeen(ctx, disk));
    if (!isReplaced) throw new Error("the backup that replaces it is not seen");
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
