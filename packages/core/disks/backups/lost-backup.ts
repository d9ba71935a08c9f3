import type { VolumeSnapshot } from "../../ports/volumes.ts";
import { LISTED_MS, listMaking } from "../../reconciler/pending-creates.ts";
import {
  ATTEMPT_MS,
  CLAIM_MS,
  countTries,
  findRefusal,
  MOST_ATTEMPTS,
  nextTry,
  pauseMs,
} from "../../reconciler/snapshot-claim.ts";
import type { Step, WorkerContext } from "../../reconciler/step.ts";
import { changeRecord } from "../../store/write-record.ts";
import { utcText } from "../../text/utc.ts";
import { ABSENCE_CHECK_MS, MOST_COUNTED_MS } from "../absence.ts";
import { readHolders } from "../names/lease.ts";
import {
  type Disk,
  type DiskSnapshot,
  findDisk,
  hasPendingSnapshot,
  isVolumeGone,
  LONGEST_PENDING_MS,
  type LostBackup,
  longPending,
  MISSED_MS,
  NO_BACKUPS,
  snapshotTags,
  VOLUME_GONE_TOO,
  withSnapshot,
  withVolumeSeen,
} from "../record.ts";
import { isPutOff, removeSnapshot } from "../removal.ts";
import { findLoss } from "./source.ts";

const CLAIMED_RETRY_MS = 5_000;
/** Limits what counts between two answered checks. Pauses after a refusal or a claim are shorter. */
const MOST_BETWEEN_TRIES_MS = 30 * 60_000;

/**
 * Follows pending snapshots. A failed one is marked first and removed at the next reconcile, so that a crash does not
 * hide it. The newest backup is then made again.
 */
export async function followSnapshots(ctx: WorkerContext, disk: Disk, now: number): Promise<Disk> {
  const isSettled = (snapshot: DiskSnapshot) => snapshot.completed || isPutOff(snapshot, now);
  if (disk.snapshots.every(isSettled)) return disk;
  const followed = await Promise.all(
    disk.snapshots.map(async (snapshot): Promise<DiskSnapshot | undefined> => {
      if (isSettled(snapshot)) return snapshot;
      if (snapshot.unremoved) return removeSnapshot(ctx, disk, snapshot, now);
      const found = await ctx.volumes.findSnapshot(snapshot.id);
      const answeredAt = ctx.clock.now();
      if (found?.state === "completed") return { ...snapshot, completed: true, failed: undefined, missedAt: undefined };
      const hasFailed = found?.state === "failed" || snapshot.failed || now - snapshot.at >= LONGEST_PENDING_MS;
      if (found && !hasFailed) return { ...snapshot, missedAt: undefined };
      if (found && !snapshot.failed) return { ...snapshot, failed: true };
      if (!snapshot.failed && !isGone(snapshot, answeredAt))
        return { ...snapshot, missedAt: missedSince(snapshot, answeredAt) };
      ctx.log.error("snapshot failed", { disk: disk.uid, snapshot: snapshot.id });
      return removeSnapshot(ctx, disk, snapshot, now);
    }),
  );
  const snapshots = followed.filter((snapshot) => snapshot !== undefined);
  // Only its own request repeats a failed on-demand snapshot (take-snapshot.ts).
  const last = disk.snapshots.findLastIndex(({ onDemand }) => !onDemand);
  const [before, newest] = [disk.snapshots[last], followed[last]];
  if (!before || before.unremoved) return { ...disk, snapshots };
  if (newest && !newest.unremoved) {
    // An older completed snapshot does not replace a later one that was lost.
    const isMade = newest.completed && !before.completed;
    return { ...disk, snapshots, lost: isMade ? undefined : disk.lost };
  }
  const lost = disk.lost ?? { of: before.id, attempt: 1, until: null, gaveUp: null };
  return { ...disk, snapshots, lost };
}

/** Reports whether a pending snapshot is gone: listed by now, and missed by two recent checks. */
function isGone({ at, missedAt }: DiskSnapshot, now: number): boolean {
  if (missedAt === undefined || now - at < LISTED_MS || now - missedAt < MISSED_MS) return false;
  return now - missedAt <= MOST_COUNTED_MS || now - at >= LONGEST_PENDING_MS;
}

function missedSince({ missedAt }: DiskSnapshot, now: number): number {
  return missedAt === undefined || now - missedAt > MOST_COUNTED_MS ? now : missedAt;
}

/**
 * Repeats a failed backup, as at an environment's end, in three attempts. A holder of the disk backs it up itself.
 */
export async function makeAgain(ctx: WorkerContext, disk: Disk, now: number): Promise<Step<Disk> | undefined> {
  const { volume } = disk;
  if (!disk.lost) return undefined;
  if (disk.lost.until !== null) return resolveClaim(ctx, disk, disk.lost, disk.lost.until, now);
  if (!isBackupWanted(disk) || now < (disk.lost.notBefore ?? 0) || (await isHeld(ctx, disk))) return undefined;
  const left = await findLeftover(ctx, disk, disk.lost);
  const lost = leavingGapOut(disk.lost, now);
  if (left !== "nothing" && left !== "failed") return recorded(disk, lost, left, now);
  const isOver = left === "failed" || lost.since === undefined || now - lost.since >= ATTEMPT_MS;
  if (isOver && lost.attempt >= MOST_ATTEMPTS) return giveUp(ctx, disk, lost, now, whyGivenUp(lost));
  const found = volume ? await ctx.volumes.findVolume(volume.id) : undefined;
  if (!found) return missVolume(ctx, disk, lost, now);
  const seen = withVolumeSeen(disk, true, now);
  if (found.attached) return later(seen, now + CLAIMED_RETRY_MS, now, "waits until it is detached");
  // The volume was restored from an older backup and is unchanged since.
  if (found.noBackup === "unneeded") return later({ ...seen, lost: undefined }, now, now, "has nothing to back up");
  const { attempt, since = now } = isOver ? { attempt: lost.attempt + 1 } : lost;
  const open = { of: lost.of, attempt, tried: nextTry(lost), since, answeredAt: now, gaveUp: null };
  if (found.noBackup) {
    const notBefore = now + pauseMs(now - since);
    const refused = { ...open, until: null, notBefore, refused: NO_BACKUPS };
    return later({ ...seen, lost: refused }, notBefore, now, "makes no backups now");
  }
  return claim(seen, { ...open, until: now + CLAIM_MS }, found.id, now);
}

/** Excludes the rest of a long gap from the attempt: no worker ran, or a job had the disk. */
function leavingGapOut(lost: LostBackup, now: number): LostBackup {
  const { since, answeredAt } = lost;
  if (since === undefined) return lost;
  const gapMs = now - Math.max(since, answeredAt ?? since);
  return { ...lost, since: since + Math.max(0, gapMs - MOST_BETWEEN_TRIES_MS), answeredAt: now };
}

function whyGivenUp({ refused }: LostBackup): string {
  return refused === NO_BACKUPS ? NO_BACKUPS : `Its latest backup failed ${MOST_ATTEMPTS} times; ${KEPT}`;
}

export function isBackupWanted(disk: Disk): boolean {
  return (
    disk.lost !== undefined && disk.lost.gaveUp === null && disk.phase === "available" && !hasPendingSnapshot(disk)
  );
}

export function describeLostBackup(disk: Disk, now: number): string | null {
  const { lost, lostAt, snapshots } = disk;
  if (lostAt !== undefined) return lossWarning(disk, now);
  if (lost?.gaveUp) return lost.gaveUp;
  if (lost?.refused !== undefined && isBackupWanted(disk))
    return `Its backup was refused; retrying: ${lost.refused}`.slice(0, 120);
  const pending = longPending(snapshots, now);
  if (pending) return `Its snapshot ${pending.id} has been pending since ${utcText(pending.at)}`;
  const left = snapshots.find(({ unremoved }) => unremoved);
  if (left) return `Its snapshot ${left.id} cannot be removed: ${left.unremoved?.why}`.slice(0, 120);
  const idle = disk.idleVolume;
  return idle?.unremoved ? `Its idle volume ${idle.id} cannot be removed: ${idle.unremoved.why}`.slice(0, 120) : null;
}

function lossWarning(disk: Disk, now: number): string {
  const loss = findLoss(disk, now);
  if (loss.kind === "origin") return "The snapshot that it starts from is gone";
  if (loss.kind === "volume") return "Its volume is gone and there is no backup";
  return `Its volume is gone; restore its snapshot ${loss.snapshot} under another name until ${utcText(loss.until)}`;
}

function missVolume(ctx: WorkerContext, disk: Disk, lost: LostBackup, now: number): Step<Disk> {
  const answeredAt = ctx.clock.now();
  const missed = withVolumeSeen(disk, false, answeredAt);
  if (!disk.volume || isVolumeGone(missed)) return giveUp(ctx, missed, lost, now, VOLUME_GONE_TOO);
  return later(missed, answeredAt + ABSENCE_CHECK_MS, now, "does not see its volume");
}

const KEPT = "the volume is kept";

async function isHeld(ctx: WorkerContext, disk: Disk): Promise<boolean> {
  const { current, following } = (await readHolders(ctx, [disk])).get(disk.uid) ?? {};
  return current !== undefined || following !== undefined;
}

async function resolveClaim(
  ctx: WorkerContext,
  disk: Disk,
  lost: LostBackup,
  until: number,
  now: number,
): Promise<Step<Disk>> {
  const left = await findLeftover(ctx, disk, lost);
  if (left !== "nothing" && left !== "failed") return recorded(disk, lost, left, now);
  if (left === "failed")
    return later({ ...disk, lost: { ...lost, until: null } }, now, now, "has a backup that failed");
  if (now < until) return later(disk, now + CLAIMED_RETRY_MS, now, "waits for its backup");
  // The claim is over, so a job may use the disk, but a snapshot that was made may still be listed late.
  const notBefore = until + ctx.volumes.listedWithinMs;
  return later({ ...disk, lost: { ...lost, until: null, notBefore } }, now, now, "has no backup of this try yet");
}

async function findLeftover(
  ctx: WorkerContext,
  { volume, snapshots }: Disk,
  lost: LostBackup,
): Promise<VolumeSnapshot | "failed" | "nothing"> {
  const left = volume ? await ctx.volumes.listSnapshots(volume.id) : [];
  const failed = new Set(snapshots.flatMap((snapshot) => (snapshot.failed ? [snapshot.id] : [])));
  const isWhole = ({ id, state }: VolumeSnapshot) => state !== "failed" && !failed.has(id);
  const mine = left.find((snapshot) => isWhole(snapshot) && snapshot.tags.attempt?.startsWith(`${lost.of}-`));
  if (mine) return mine;
  return left.some(({ tags }) => tags.attempt === formatTag(lost)) ? "failed" : "nothing";
}

/** Records a snapshot. A completed one ends the loss; a pending one may still fail. */
function recorded(disk: Disk, lost: LostBackup, { id, at, state, tags }: VolumeSnapshot, now: number): Step<Disk> {
  const completed = state === "completed";
  const found = withSnapshot(disk, { id, at, completed }, tags.attempt);
  const open = { ...lost, until: null, since: undefined, refused: undefined };
  // It may be of an attempt before the last job, and listed late.
  const savedIn = at >= (disk.lastUsedAt ?? 0) ? id : undefined;
  return later({ ...found, savedIn, lost: completed ? undefined : open }, now, now, "backed up again");
}

function claim(disk: Disk, lost: LostBackup, volumeId: string, now: number): Step<Disk> {
  const attempt = formatTag(lost);
  const tags = { ...snapshotTags(disk, disk.name), attempt };
  const making = listMaking(disk.making, { kind: "snapshot", token: attempt, from: volumeId, at: now });
  return {
    ...later({ ...disk, lost, making }, now, now, "claims its backup"),
    async after(ctx) {
      try {
        await ctx.volumes.createSnapshot(volumeId, tags);
      } catch (error) {
        const refused = findRefusal(error);
        if (refused !== undefined) await noteRefusal(ctx, disk, lost, refused);
        throw error;
      }
    },
  };
}

/** Records the refusal, only under this worker's own claim. */
async function noteRefusal(ctx: WorkerContext, { owner, uid }: Disk, claimed: LostBackup, refused: string) {
  await changeRecord(ctx, {
    read: () => findDisk(ctx, owner, uid),
    decide(disk) {
      const { lost } = disk ?? {};
      if (!disk || !lost || lost.until === null || lost.until !== claimed.until) return undefined;
      const now = ctx.clock.now();
      const notBefore = now + pauseMs(now - (lost.since ?? now));
      return { ...disk, lost: { ...lost, until: null, notBefore, refused } };
    },
    what: "The disk is",
  });
}

function formatTag(lost: LostBackup): string {
  return `${lost.of}-${countTries(lost)}`;
}

function giveUp(ctx: WorkerContext, disk: Disk, lost: LostBackup, now: number, gaveUp: string): Step<Disk> {
  ctx.log.error("disk not backed up", { disk: disk.uid, reason: gaveUp });
  return later({ ...disk, lost: { ...lost, gaveUp } }, now, now, "gave its backup up");
}

export function later(disk: Disk, dueAt: number, now: number, log: string): Step<Disk> {
  return { record: { ...disk, attempts: 0, fault: describeLostBackup(disk, now), dueAt }, notify: [], log };
}
