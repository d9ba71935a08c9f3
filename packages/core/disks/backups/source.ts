import type { Context } from "../../context.ts";
import { DAY_MS } from "../../units.ts";
import { missedAgain, NOT_MISSED } from "../absence.ts";
import { type Disk, type DiskSource, mayHold } from "../record.ts";

/** How long the snapshot is kept of a disk that was written to and is lost: its owner has to hear of that first. */
const KEPT_LOST_MS = 30 * DAY_MS;

/**
 * The disk after a look for what its volume is to be made of: one whose snapshot is seen is not lost. As it was where
 * nothing is made of that any more.
 */
export async function seekSource(ctx: Context<"volumes">, disk: Disk): Promise<Disk> {
  const source = originOf(disk);
  if (!source) return disk;
  const found = await ctx.volumes.findSnapshot(source.id);
  if (found?.state === "completed") return { ...disk, source: { ...source, ...NOT_MISSED }, lostAt: undefined };
  // The absence counts from the answer: a time in which nobody looked is none.
  return { ...disk, source: { ...source, ...missedAgain(source, ctx.clock.now()) } };
}

/**
 * What its next volume is made of where it has no backup: another disk's, while it has no volume that is seen, and no run
 * may have written to one. What was written is not replaced in silence by what it began with.
 */
export function originOf(disk: Disk): DiskSource | undefined {
  const { volume, volumeMissedAt, source, written, lost, snapshots } = disk;
  const isSeen = volume !== null && volumeMissedAt === undefined;
  return isSeen || written || lost || snapshots.some(mayHold) ? undefined : source;
}

/**
 * Until when the snapshot that a disk was made of is kept, ms, where its first volume is gone with what was written to it:
 * its owner has that time to begin again with the snapshot. Undefined: the disk is not lost, or never had a volume.
 */
export function sourceKeptUntil({ volume, lostAt }: Pick<Disk, "volume" | "lostAt">): number | undefined {
  return volume === null || lostAt === undefined ? undefined : lostAt + KEPT_LOST_MS;
}

/** What a disk that is lost has lost. Times are ms. */
export type Loss =
  /** The snapshot that its volume was to be made of. */
  | { readonly kind: "origin" }
  /** Its volume, of which there is no backup. */
  | { readonly kind: "volume" }
  /** The same, but until then its owner may begin again with the snapshot that it was made of. */
  | { readonly kind: "work"; readonly snapshot: string; readonly until: number };

/** What a disk has lost that was found to be lost, now or before. */
export function lossOf(disk: Disk, now: number): Loss {
  if (originOf(disk)) return { kind: "origin" };
  const { source, volume, lostAt = now } = disk;
  const until = sourceKeptUntil({ volume, lostAt });
  if (!source || until === undefined || now >= until) return { kind: "volume" };
  return { kind: "work", snapshot: source.id, until };
}

/**
 * Whether its volume is all that there is of what was written to a disk that was made of a snapshot. That snapshot is kept
 * meanwhile, so somebody has to look whether the volume is there, though no job comes.
 */
export function hasOnlyVolume({ source, written, lost, volume, snapshots, making }: Disk): boolean {
  const mayHaveMore = snapshots.some(mayHold) || making.some(({ kind }) => kind === "snapshot");
  return source !== undefined && volume !== null && (written === true || lost !== undefined) && !mayHaveMore;
}

/** The disk after a run that may have written to it. */
export function withWork(disk: Disk): Disk {
  return disk.source ? { ...disk, written: true } : disk;
}
