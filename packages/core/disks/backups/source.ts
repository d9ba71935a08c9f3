import type { Context } from "../../context.ts";
import { DAY_MS } from "../../units.ts";
import { missedAgain, NOT_MISSED } from "../absence.ts";
import { type Disk, type DiskSource, mayHold } from "../record.ts";

/** How long the source snapshot of a lost disk with data is kept: its owner must learn of the loss first. */
const KEPT_LOST_MS = 30 * DAY_MS;

/**
 * Returns the disk after a look for its source. A disk whose source is seen is not lost. Returns the same disk if it no
 * longer depends on a source.
 */
export async function seekSource(ctx: Context<"volumes">, disk: Disk): Promise<Disk> {
  const source = findOrigin(disk);
  if (!source) return disk;
  const found = await ctx.volumes.findSnapshot(source.id);
  if (found?.state === "completed") return { ...disk, source: { ...source, ...NOT_MISSED }, lostAt: undefined };
  // Count absence from the answer, because time without a look does not count.
  return { ...disk, source: { ...source, ...missedAgain(source, ctx.clock.now()) } };
}

/**
 * Returns the source of the next volume: another disk's backup, unless the disk has a volume, a backup, or data from a
 * run. Data must never be replaced silently by the original content.
 */
export function findOrigin(disk: Disk): DiskSource | undefined {
  const { volume, volumeMissedAt, source, written, lost, snapshots } = disk;
  const isSeen = volume !== null && volumeMissedAt === undefined;
  return isSeen || written || lost || snapshots.some(mayHold) ? undefined : source;
}

/**
 * Returns until when (ms) the source snapshot of a lost disk is kept, so that its owner can start again from it.
 * Returns undefined if the disk is not lost or never had a volume.
 */
export function sourceKeptUntil({ volume, lostAt }: Pick<Disk, "volume" | "lostAt">): number | undefined {
  return volume === null || lostAt === undefined ? undefined : lostAt + KEPT_LOST_MS;
}

/** What a lost disk has lost. Times are ms. */
export type Loss =
  /** The snapshot for its first volume. */
  | { readonly kind: "origin" }
  /** The volume, and there is no backup. */
  | { readonly kind: "volume" }
  /** Its volume, but its owner may start again from the source snapshot until this time. */
  | { readonly kind: "work"; readonly snapshot: string; readonly until: number };

/** Returns the loss of a disk, found now or earlier. */
export function findLoss(disk: Disk, now: number): Loss {
  if (findOrigin(disk)) return { kind: "origin" };
  const { source, volume, lostAt = now } = disk;
  const until = sourceKeptUntil({ volume, lostAt });
  if (!source || until === undefined || now >= until) return { kind: "volume" };
  return { kind: "work", snapshot: source.id, until };
}

/**
 * Reports whether only the volume holds the data of a disk made from a snapshot. The snapshot is kept as long, so looks
 * must check the volume even if no job comes.
 */
export function hasOnlyVolume({ source, written, lost, volume, snapshots, making }: Disk): boolean {
  const mayHaveMore = snapshots.some(mayHold) || making.some(({ kind }) => kind === "snapshot");
  return source !== undefined && volume !== null && (written === true || lost !== undefined) && !mayHaveMore;
}

/** Returns the disk after a run that may have written to it. */
export function withWork(disk: Disk): Disk {
  return disk.source ? { ...disk, written: true } : disk;
}
