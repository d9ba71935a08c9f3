import type { Context } from "../../context.ts";
import { DAY_MS } from "../../units.ts";
import { missedAgain, NOT_MISSED } from "../absence.ts";
import { type Disk, type DiskSource, mayHold } from "../record.ts";

/** How long the source snapshot of a lost disk with data is kept: its owner must learn of the loss first. */
const KEPT_LOST_MS = 30 * DAY_MS;

/** Searches for the source. A disk whose source is seen is not lost. */
export async function seekSource(ctx: Context<"volumes">, disk: Disk): Promise<Disk> {
  const source = findOrigin(disk);
  if (!source) return disk;
  const found = await ctx.volumes.findSnapshot(source.id);
  if (found?.state === "completed") return { ...disk, source: { ...source, ...NOT_MISSED }, lostAt: undefined };
  // Count absence from the answer, because time without a check does not count.
  return { ...disk, source: { ...source, ...missedAgain(source, ctx.clock.now()) } };
}

/**
 * Returns the source of the next volume, unless the disk has a volume, a backup, or data from a run, which it must
 * never replace.
 */
export function findOrigin(disk: Disk): DiskSource | undefined {
  const { volume, volumeMissedAt, source, written, lost, snapshots } = disk;
  const isSeen = volume !== null && volumeMissedAt === undefined;
  return isSeen || written || lost || snapshots.some(mayHold) ? undefined : source;
}

/** Returns until when (ms) a lost disk's source is kept; undefined if it is not lost or never had a volume. */
export function sourceKeptUntil({ volume, lostAt }: Pick<Disk, "volume" | "lostAt">): number | undefined {
  return volume === null || lostAt === undefined ? undefined : lostAt + KEPT_LOST_MS;
}

export type Loss =
  /** The snapshot for its first volume. */
  | { readonly kind: "origin" }
  /** The volume, and there is no backup. */
  | { readonly kind: "volume" }
  /** Its volume, but its owner may start again from the source snapshot until this time. */
  | { readonly kind: "work"; readonly snapshot: string; readonly until: number };

export function findLoss(disk: Disk, now: number): Loss {
  if (findOrigin(disk)) return { kind: "origin" };
  const { source, volume, lostAt = now } = disk;
  const until = sourceKeptUntil({ volume, lostAt });
  if (!source || until === undefined || now >= until) return { kind: "volume" };
  return { kind: "work", snapshot: source.id, until };
}

/** Reports whether only the volume holds the data, so that reconciles must check it even if no job comes. */
export function hasOnlyVolume({ source, written, lost, volume, snapshots, making }: Disk): boolean {
  const mayHaveMore = snapshots.some(mayHold) || making.some(({ kind }) => kind === "snapshot");
  return source !== undefined && volume !== null && (written === true || lost !== undefined) && !mayHaveMore;
}

export function withWork(disk: Disk): Disk {
  return disk.source ? { ...disk, written: true } : disk;
}
