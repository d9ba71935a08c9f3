import type { Context } from "../context.ts";
import type { Stored } from "../ports/table.ts";
import type { SnapshotTags, VolumeRef } from "../ports/volumes.ts";
import { earliestConfirmableAt, type PendingCreate } from "../reconciler/pending-creates.ts";
import { diskKey, keyText } from "../store/keys.ts";
import { DAY_MS } from "../units.ts";
import { ABSENCE_CHECK_MS, type Absence, isGone, missedAgain, NOT_MISSED } from "./absence.ts";
import type { IdleVolume } from "./idle-volume.ts";
import { parseDisk } from "./parse.ts";

/** A purged disk stays as a record for a while, without a name. */
export type DiskPhase = "creating" | "available" | "deleted" | "purging" | "purged";

export type OperationKind = "create" | "delete" | "undelete" | "snapshot";

/** The environment that has the disk, valid only while it lives (docs/architecture/table.md). */
export interface Holder {
  readonly uid: string;
  readonly key: string;
  readonly id: string;
}

export interface DiskSnapshot extends Absence {
  readonly id: string;
  readonly at: number;
  readonly completed: boolean;
  /** Whether it was seen as failed. From then on, "not found" means that it was removed. */
  readonly failed?: boolean | undefined;
  /** The refused removal of a snapshot that is to go; absent before the first try. No job waits for it. */
  readonly unremoved?: Unremoved | undefined;
  /** End of the claim on its removal, ms. Until then, no disk is made from it. */
  readonly removingUntil?: number | undefined;
  /** Whether the owner requested it. Retention counts it apart from backups. */
  readonly onDemand?: true | undefined;
  /** Whether jobs may write to the volume while it is pending, because the provider has fixed its content. */
  readonly isFixed?: true | undefined;
}

export interface SnapshotRequest {
  /** The id of its operation, which begins the tag of each attempt. */
  readonly operation: string;
  readonly at: number;
  readonly attempt: number;
  readonly until: number | null;
  readonly notBefore?: number | undefined;
  /** The refusal of the latest attempt, which therefore made nothing. */
  readonly refused?: string | undefined;
  readonly snapshot?: string | undefined;
}

export interface Unremoved {
  readonly why: string;
  readonly tries: number;
  readonly at: number;
}

/** Minimum time between the two checks that miss a pending snapshot before it counts as gone. */
export const MISSED_MS = 10_000;

/** Why a backup without a volume was given up. Cleared if the volume appears again. */
export const VOLUME_GONE_TOO = "Its latest backup failed, and its volume is gone";

export const NO_BACKUPS = "No backups can be made where it runs; the volume is kept";

/** A large snapshot takes hours. After a day it counts as failed, or its disk would be held forever. */
export const LONGEST_PENDING_MS = DAY_MS;
const PENDING_TOLD_MS = 15 * 60_000;

export interface DiskSource extends Absence {
  readonly id: string;
  readonly at: number;
}

/** A snapshot from which another disk starts. It is kept until that disk has its own backup or will never need one. */
export interface Restore {
  readonly snapshot: string;
  readonly disk: string;
  readonly at: number;
}

/** The newest backup, which failed after it was recorded, until it is made again. */
export interface LostBackup {
  /** Prefix of the attempts' tags: the snapshot that failed first, or the run whose end made none. */
  readonly of: string;
  readonly attempt: number;
  /** Suffix of the latest try's tag, as at an environment's end. Absent: `attempt`. */
  readonly tried?: number | undefined;
  /** Start of the present attempt, moved forward by the time that does not count; absent before it begins. */
  readonly since?: number | undefined;
  /** The latest answered check in which the attempt could continue. */
  readonly answeredAt?: number | undefined;
  /** End of the claim on a try. Until then no other worker acts, and a job with this disk waits. */
  readonly until: number | null;
  /** Earliest next try, after a refusal or while a snapshot may be listed late. */
  readonly notBefore?: number | undefined;
  readonly refused?: string | undefined;
  readonly gaveUp: string | null;
}

/** A named volume of a user that outlives environments. The directory decides its name. Times are ms. */
export interface Disk extends Stored {
  readonly kind: "disk";
  readonly uid: string;
  readonly owner: string;
  readonly name: string;
  readonly sizeGb: number;
  readonly phase: DiskPhase;
  /** The volume in use. A restore happens only without one. */
  readonly volume: VolumeRef | null;
  readonly volumeMissedAt?: Absence["missedAt"];
  readonly volumeMissedAgainAt?: Absence["missedAgainAt"];
  /** Set once neither volume, backup nor source is left. */
  readonly lostAt?: number | undefined;
  /** Missing volumes that a backup replaced, newest first. They are removed only by the purge. */
  readonly supersededVolumes?: readonly string[] | undefined;
  /** The snapshot that has everything on the volume, while the disk is free. Absent if none is known to. */
  readonly savedIn?: string | undefined;
  /** The former volume, which `savedIn` or an empty one takes the place of, until it is removed. */
  readonly idleVolume?: IdleVolume | undefined;
  /** Volumes and snapshots that may exist without being recorded above; each is listed here before it is made. */
  readonly making: readonly PendingCreate[];
  /** The holder for which the volume was made, and the time of the backup in it; null if the volume was empty. */
  readonly restored?: { readonly by: string; readonly at: number | null } | undefined;
  readonly source?: DiskSource | undefined;
  /** Whether a run may have written to a volume made from `source`. */
  readonly written?: true | undefined;
  readonly restores?: readonly Restore[] | undefined;
  /** Snapshots, oldest first. This list decides what belongs to the disk; tags are for users. */
  readonly snapshots: readonly DiskSnapshot[];
  readonly lost?: LostBackup | undefined;
  readonly snapshotRequest?: SnapshotRequest | undefined;
  readonly heldBy: Holder | null;
  readonly next: Holder | null;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
  readonly deletedAt: number | null;
  readonly purgeAt: number | null;
  readonly taggedAs: string | null;
  readonly operations: readonly { readonly id: string; readonly kind: OperationKind }[];
  readonly attempts: number;
  readonly fault: string | null;
  readonly dueShard: string;
  readonly dueAt?: number | undefined;
  readonly ttl?: number | undefined;
}

export async function findDisk(ctx: Context<"table">, owner: string, uid: string): Promise<Disk | undefined> {
  const item = await ctx.table.get(diskKey(owner, uid));
  return item && parseDisk(item);
}

/** Reports whether a snapshot is being made or claimed, so that a job with this disk must wait. */
export function hasPendingSnapshot(disk: Disk): boolean {
  return isClaimed(disk) || disk.snapshots.some((snapshot) => isPending(snapshot) && !snapshot.isFixed);
}

/** Reports whether it is pending. A failed snapshot stays pending until it is removed or its removal is refused. */
export function isPending({ completed, unremoved }: DiskSnapshot): boolean {
  return !(completed || unremoved);
}

export function longPending(snapshots: readonly DiskSnapshot[], now: number): DiskSnapshot | undefined {
  return snapshots.find((snapshot) => isPending(snapshot) && now - snapshot.at >= PENDING_TOLD_MS);
}

export function withSnapshot(disk: Disk, snapshot: DiskSnapshot, attempt: string | undefined): Disk {
  const others = disk.snapshots.filter(({ id }) => id !== snapshot.id);
  const snapshots = [...others, snapshot].sort((left, right) => left.at - right.at);
  return { ...disk, snapshots, making: disk.making.filter(({ token }) => token !== attempt) };
}

export function withMaking(disk: Disk, making: readonly PendingCreate[]): Disk {
  return { ...disk, making, dueAt: Math.min(disk.dueAt ?? Number.POSITIVE_INFINITY, earliestConfirmableAt(making)) };
}

export function snapshotTags({ owner, uid }: Disk, name: string): Required<Omit<SnapshotTags, "attempt">> {
  return { name, disk: uid, key: keyText(diskKey(owner, uid)) };
}

/** Reports whether a snapshot that no record names yet may be under way. */
export function isClaimed({ lost, snapshotRequest }: Disk): boolean {
  return [lost, snapshotRequest].some((making) => making !== undefined && making.until !== null);
}

/** Reports whether it has content, or may get some. A failed snapshot that cannot be removed has none. */
export function mayHold(snapshot: DiskSnapshot): boolean {
  return snapshot.completed || isPending(snapshot);
}

export function seenBackups({ snapshots }: Pick<Disk, "snapshots">): readonly DiskSnapshot[] {
  return snapshots.filter(({ completed, missedAt }) => completed && missedAt === undefined);
}

export function sighted(snapshot: DiskSnapshot, isSeen: boolean, now: number): DiskSnapshot {
  return { ...snapshot, ...(isSeen ? NOT_MISSED : missedAgain(snapshot, now)) };
}

/**
 * A seen volume ends a loss. A missed one is searched for again in a minute, so that two misses days apart never count
 * as one long absence.
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
  const dueAt = Math.min(disk.dueAt ?? Number.POSITIVE_INFINITY, now + ABSENCE_CHECK_MS);
  return { ...withVolumeMissed(disk, now), dueAt };
}

/** Returns the ids of all volumes that it names, the present one first. */
export function volumesOf({ volume, idleVolume, supersededVolumes = [] }: Disk): string[] {
  return [...[volume, idleVolume].flatMap((named) => named?.id ?? []), ...supersededVolumes];
}

export const noVolumes = { volume: null, idleVolume: undefined, supersededVolumes: undefined } as const;

export function withVolumeMissed(disk: Disk, now: number): Disk {
  if (!disk.volume) return disk;
  const { missedAt, missedAgainAt } = missedAgain(volumeAbsence(disk), now);
  return { ...disk, volumeMissedAt: missedAt, volumeMissedAgainAt: missedAgainAt };
}

export function isVolumeGone(disk: Disk): boolean {
  return isGone(volumeAbsence(disk));
}

export function volumeAbsence({ volumeMissedAt, volumeMissedAgainAt }: Disk): Absence {
  return { missedAt: volumeMissedAt, missedAgainAt: volumeMissedAgainAt };
}

/**
 * Clears the source's absence: while a disk has a volume, its source is not searched for, so the mark would go stale.
 */
function unmissedSource({ source }: Disk): Pick<Disk, "source"> | undefined {
  return source && { source: { ...source, ...NOT_MISSED } };
}

function withVolume(disk: Disk, now: number): Disk {
  const { lost } = disk;
  if (lost?.gaveUp !== VOLUME_GONE_TOO) return disk;
  return withAttemptAnew({ ...disk, lost: { ...lost, gaveUp: null } }, now);
}

/** Restarts the time of the current attempt to repeat the latest backup, because no try was possible until now. */
export function withAttemptAnew(disk: Disk, now: number): Disk {
  const { lost } = disk;
  return lost?.since === undefined ? disk : { ...disk, lost: { ...lost, since: now } };
}

/** Returns the zone in which a user of this volume must run; null for any, without a volume or a known zone. */
export function zonePinnedBy(volume: VolumeRef | null | undefined): string | null {
  return volume?.zone || null;
}

/** Marks a snapshot made under this token as requested by the owner: only operations have such ids. */
export function onDemandMark(
  ctx: Context<"volumes">,
  token: string,
): Pick<DiskSnapshot, "onDemand" | "isFixed"> | undefined {
  if (!token.startsWith("op-")) return undefined;
  return { onDemand: true, ...(ctx.volumes.snapshotsInUse && { isFixed: true }) };
}
