import type { Context } from "../context.ts";
import type { Stored } from "../ports/table.ts";
import type { SnapshotTags, VolumeRef } from "../ports/volumes.ts";
import { firstSettles, type Making } from "../reconciler/making.ts";
import { diskKey, keyText } from "../store/keys.ts";
import { DAY_MS } from "../units.ts";
import { type Absence, isGone, MISSED_LOOK_MS, missedAgain, NOT_MISSED } from "./absence.ts";
import { parseDisk } from "./parse.ts";

/** Purged disks stay as records for a while, under no name. */
export type DiskPhase = "creating" | "available" | "deleted" | "purging" | "purged";

export type OperationKind = "create" | "delete" | "undelete" | "snapshot";

/** The environment that has the disk, valid only while that lives (docs/architecture/table.md). */
export interface Holder {
  readonly uid: string;
  /** The key of its record, as a message carries it. */
  readonly key: string;
  /** What its dialect calls it. */
  readonly id: string;
}

export interface DiskSnapshot extends Absence {
  readonly id: string;
  /** The point in time it holds, ms. */
  readonly at: number;
  readonly completed: boolean;
  /** It was seen to have failed: from then on "not found" means that it was removed. */
  readonly failed?: boolean | undefined;
  /** It is to go, and its removal was refused; missing: that was not tried. Nobody waits for it. */
  readonly unremoved?: Unremoved | undefined;
  /**
   * Its removal is claimed: whoever read that may remove it until then, ms, and nothing is made of it. Missing: nobody
   * removes it.
   */
  readonly removingUntil?: number | undefined;
  /** The owner requested it. Retention counts it apart from backups. */
  readonly onDemand?: true | undefined;
  /** Jobs may write to the volume while it is pending, because its provider has fixed what it holds. */
  readonly isFixed?: true | undefined;
}

/** A snapshot that the owner requested, until it is completed or given up. Times are ms. */
export interface SnapshotRequest {
  /** The id of its operation, which begins the tag of each attempt. */
  readonly operation: string;
  readonly at: number;
  /** The number of the latest attempt; 0: none has begun. */
  readonly attempt: number;
  /** The end of the claim on the present attempt; null: no attempt is claimed. */
  readonly until: number | null;
  readonly notBefore?: number | undefined;
  /** The refusal of the latest attempt, which therefore made nothing. */
  readonly refused?: string | undefined;
  /** The pending snapshot of the latest attempt. */
  readonly snapshot?: string | undefined;
}

/** A removal that was refused. */
export interface Unremoved {
  /** The reason, in at most 120 characters. */
  readonly why: string;
  /** How often it was tried, and when last, ms. */
  readonly tries: number;
  readonly at: number;
}

/** Least time between the two looks that miss a pending snapshot, after which it counts as gone. */
export const MISSED_MS = 10_000;

/** Why a backup is not made again whose volume was taken for gone; no more once that is seen again. */
export const VOLUME_GONE_TOO = "Its latest backup failed, and its volume is gone";

/** Why none is made where the provider of the volume makes no snapshots. */
export const NO_BACKUPS = "No backups are made where it runs; the volume itself is kept";

/**
 * A snapshot of many terabytes takes hours. One that is pending for longer than a day counts as failed and is made
 * again, or its disk would be held for ever (docs/architecture/end-of-life.md).
 */
export const LONGEST_PENDING_MS = DAY_MS;
const PENDING_TOLD_MS = 15 * 60_000;

/** The backup of another disk that this one was made of. */
export interface DiskSource extends Absence {
  /** The snapshot. */
  readonly id: string;
  /** The point in time it holds, ms. */
  readonly at: number;
}

/** A snapshot that another disk begins with. It stays until that disk has a backup of its own, or will never need one. */
export interface Restore {
  readonly snapshot: string;
  /** The uid of the other disk. */
  readonly disk: string;
  readonly at: number;
}

/** The newest backup, which failed after it was recorded, until it was made again. */
export interface LostBackup {
  /**
   * What the attempts to make it again are named after: the snapshot that failed first, or the run whose end made none.
   */
  readonly of: string;
  /** The present attempt, that one included. */
  readonly attempt: number;
  /** What the latest try's tag ends with, as of an environment's end. Missing: `attempt`. */
  readonly tried?: number | undefined;
  /** When the present attempt to make it again began, moved on by the time that does not count; missing: it has not. */
  readonly since?: number | undefined;
  /** The latest look in which the provider answered and the attempt could go on. */
  readonly answeredAt?: number | undefined;
  /** A try is claimed: nobody else acts before, and a job with this disk waits. */
  readonly until: number | null;
  /** Not tried again before: the latest try was refused, or what it made may not be listed yet. */
  readonly notBefore?: number | undefined;
  /** Why the latest try certainly made nothing. */
  readonly refused?: string | undefined;
  /** Why it is not tried any more, in words. */
  readonly gaveUp: string | null;
}

/** A named volume of a user that outlives environments. Its name is the directory's to decide. Times are ms. */
export interface Disk extends Stored {
  readonly kind: "disk";
  readonly uid: string;
  readonly owner: string;
  /** The name it was last known to have: what its snapshots are to be tagged with. */
  readonly name: string;
  readonly sizeGb: number;
  readonly phase: DiskPhase;
  /** While it exists it is used; a restore happens only where there is none. */
  readonly volume: VolumeRef | null;
  /** The absence of the volume. */
  readonly volumeMissedAt?: Absence["missedAt"];
  readonly volumeMissedAgainAt?: Absence["missedAgainAt"];
  /**
   * Since when it is known to have neither its volume nor any backup, nor what that can be made of; missing: it is not
   * lost.
   */
  readonly lostAt?: number | undefined;
  /**
   * Volumes that were not seen for so long that a backup took their place, the newest first. Nobody removes them before
   * the purge.
   */
  readonly supersededVolumes?: readonly string[] | undefined;
  /** What may exist of it outside without standing here: each volume and snapshot is listed before it is made. */
  readonly making: readonly Making[];
  /** The environment for which its lost volume was made again, and from which point in time. */
  readonly restored?: { readonly by: string; readonly at: number | null } | undefined;
  /** What its first volume is made of, where that is another disk's backup. */
  readonly source?: DiskSource | undefined;
  /** A run may have written to a volume that was made of `source`. */
  readonly written?: true | undefined;
  /** Other disks that are made of its backups. */
  readonly restores?: readonly Restore[] | undefined;
  /** Oldest first. Which snapshots belong to it is decided here; tags are for people. */
  readonly snapshots: readonly DiskSnapshot[];
  readonly lost?: LostBackup | undefined;
  readonly snapshotRequest?: SnapshotRequest | undefined;
  readonly heldBy: Holder | null;
  /** Who has it next, once the holder, which is ending, has let it go. */
  readonly next: Holder | null;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
  readonly deletedAt: number | null;
  readonly purgeAt: number | null;
  /** The name that all snapshots are known to be tagged with. */
  readonly taggedAs: string | null;
  /** Operations that nobody has closed yet. */
  readonly operations: readonly { readonly id: string; readonly kind: OperationKind }[];
  readonly attempts: number;
  readonly fault: string | null;
  readonly dueShard: string;
  readonly dueAt?: number | undefined;
  /** Seconds since the epoch. */
  readonly ttl?: number | undefined;
}

export async function findDisk(ctx: Context<"table">, owner: string, uid: string): Promise<Disk | undefined> {
  const item = await ctx.table.get(diskKey(owner, uid));
  return item && parseDisk(item);
}

/** A snapshot of it is being made, or claimed to be: a job with this disk waits until that is done. */
export function hasPendingSnapshot(disk: Disk): boolean {
  return isClaimed(disk) || disk.snapshots.some((snapshot) => isPending(snapshot) && !snapshot.isFixed);
}

/** One that failed is pending until it is removed, or cannot be. */
export function isPending({ completed, unremoved }: DiskSnapshot): boolean {
  return !(completed || unremoved);
}

/** One that is pending for so long that somebody should hear of it; undefined: none is. */
export function longPending(snapshots: readonly DiskSnapshot[], now: number): DiskSnapshot | undefined {
  return snapshots.find((snapshot) => isPending(snapshot) && now - snapshot.at >= PENDING_TOLD_MS);
}

/** The disk with a snapshot that was made by this attempt, which is not looked for any more. */
export function withSnapshot(disk: Disk, snapshot: DiskSnapshot, attempt: string | undefined): Disk {
  const others = disk.snapshots.filter(({ id }) => id !== snapshot.id);
  const snapshots = [...others, snapshot].sort((one, other) => one.at - other.at);
  return { ...disk, snapshots, making: disk.making.filter(({ token }) => token !== attempt) };
}

/** The disk with what is to be made listed, due when that is to be looked for. */
export function withMaking(disk: Disk, making: readonly Making[]): Disk {
  return { ...disk, making, dueAt: Math.min(disk.dueAt ?? Number.POSITIVE_INFINITY, firstSettles(making)) };
}

/** What its snapshots are tagged with while it has this name, but for the attempt that made each. */
export function tagsOf({ owner, uid }: Disk, name: string): Required<Omit<SnapshotTags, "attempt">> {
  return { name, disk: uid, key: keyText(diskKey(owner, uid)) };
}

/** Somebody may be making a snapshot of it that no record names yet. */
export function isClaimed({ lost, snapshotRequest }: Disk): boolean {
  return [lost, snapshotRequest].some((making) => making !== undefined && making.until !== null);
}

/** Whether it holds something, or may yet: not what failed and only cannot be removed. */
export function mayHold(snapshot: DiskSnapshot): boolean {
  return snapshot.completed || isPending(snapshot);
}

/** Those that can be counted on: completed, and seen by the latest look. */
export function seenBackups({ snapshots }: Pick<Disk, "snapshots">): readonly DiskSnapshot[] {
  return snapshots.filter(({ completed, missedAt }) => completed && missedAt === undefined);
}

/** A completed snapshot after a look for it. */
export function sighted(snapshot: DiskSnapshot, isSeen: boolean, now: number): DiskSnapshot {
  return { ...snapshot, ...(isSeen ? NOT_MISSED : missedAgain(snapshot, now)) };
}

/**
 * The disk after a look for its volume: one that is seen is not lost, one that is not is looked for again in a minute,
 * so that two looks that missed it, days apart, are never taken for one long absence.
 */
export function withVolumeSeen(disk: Disk, isSeen: boolean, now: number): Disk {
  if (isSeen)
    return {
      ...withVolume(disk, now),
      volumeMissedAt: undefined,
      volumeMissedAgainAt: undefined,
      lostAt: undefined,
      ...unmissedSource(disk),
    };
  const dueAt = Math.min(disk.dueAt ?? Number.POSITIVE_INFINITY, now + MISSED_LOOK_MS);
  return { ...withVolumeMissed(disk, now), dueAt };
}

/** Returns the disk after a look that the provider answered at `now`, and that missed its volume, if it has one. */
export function withVolumeMissed(disk: Disk, now: number): Disk {
  if (!disk.volume) return disk;
  const { missedAt, missedAgainAt } = missedAgain(volumeAbsence(disk), now);
  return { ...disk, volumeMissedAt: missedAt, volumeMissedAgainAt: missedAgainAt };
}

/** Reports whether answered looks missed its volume for so long that it counts as gone. */
export function isVolumeGone(disk: Disk): boolean {
  return isGone(volumeAbsence(disk));
}

export function volumeAbsence({ volumeMissedAt, volumeMissedAgainAt }: Disk): Absence {
  return { missedAt: volumeMissedAt, missedAgainAt: volumeMissedAgainAt };
}

/** Takes the mark off: a disk with a volume is not looked for in its snapshot, and the mark would count as an absence. */
function unmissedSource({ source }: Disk): Pick<Disk, "source"> | undefined {
  return source && { source: { ...source, ...NOT_MISSED } };
}

/** Its latest backup was given up since there was nothing to make it of. */
function withVolume(disk: Disk, now: number): Disk {
  const { lost } = disk;
  if (lost?.gaveUp !== VOLUME_GONE_TOO) return disk;
  return withAttemptAnew({ ...disk, lost: { ...lost, gaveUp: null } }, now);
}

/**
 * The disk with the time of the present attempt to make its latest backup again begun anew: nobody could try it until
 * now.
 */
export function withAttemptAnew(disk: Disk, now: number): Disk {
  const { lost } = disk;
  return lost?.since === undefined ? disk : { ...disk, lost: { ...lost, since: now } };
}

/** The zone that whatever uses this volume has to run in; null: any, since there is no volume yet or its zone is unknown. */
export function zonePinnedBy(volume: VolumeRef | null | undefined): string | null {
  return volume?.zone || null;
}

/** Marks a snapshot that was made under this token, if its owner requested it. Only operations have such ids. */
export function onDemandMark(
  ctx: Context<"volumes">,
  token: string,
): Pick<DiskSnapshot, "onDemand" | "isFixed"> | undefined {
  if (!token.startsWith("op-")) return undefined;
  return { onDemand: true, ...(ctx.volumes.snapshotsInUse && { isFixed: true }) };
}
