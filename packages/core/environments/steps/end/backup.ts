import { withWork } from "../../../disks/backups/source.ts";
import { type Disk, findDisk, NO_BACKUPS, seenBackups, snapshotTags, withSnapshot } from "../../../disks/record.ts";
import {
  CLAIM_MS,
  countTries,
  findRefusal,
  MOST_ATTEMPTS,
  nextTry,
  pauseMs,
} from "../../../reconciler/snapshot-claim.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { unlessUnreadable } from "../../../store/readable.ts";
import { changeRecord } from "../../../store/write-record.ts";
import { type DiskUse, unreadableDisk } from "../../record/disk/disk-use.ts";
import type { BackupClaim } from "../../record/end.ts";
import { parseEnvironment } from "../../record/parse.ts";
import { type Environment, toKey } from "../../record/record.ts";
import { changed, notifyDisk, waitedFor } from "../../record/step-result.ts";
import { addEntry, shorten } from "../../record/timeline.ts";
import { detachVolumes } from "../lost-node.ts";
import { findVolume, listSnapshotMaking, releaseDisk } from "../start/disk.ts";
import { removeLeftoverRuns } from "./leftover-runs.ts";

const NOT_BACKED_UP = `Its disk could not be backed up in ${MOST_ATTEMPTS} attempts; the volume is kept`;
const LATEST_NOT_MADE = "Its latest backup could not be made; the volume is kept";
const VOLUME_GONE = "Its disk's volume is gone; its latest backup remains";
const NONE_SEEN = "Its disk's volume is gone, and no backup of it is visible";
const ALL_GONE = "Its disk's volume is gone, and there is no backup";
const LAST_WORDS = [NOT_BACKED_UP, NO_BACKUPS, VOLUME_GONE, NONE_SEEN, ALL_GONE];

/**
 * Backs up the disk with one snapshot. CreateSnapshot is not idempotent, so each try is claimed first, and later
 * reconciles search for its result (docs/architecture/consistency.md#claims).
 */
export async function backUp(
  ctx: WorkerContext,
  environment: Environment,
  use: DiskUse,
  now: number,
): Promise<Step<Environment>> {
  const disk = await readDisk(ctx, environment, use);
  if (!disk) return waitedFor(withAttempt(environment, now), now, unreadableDisk(use.name));
  if (disk === "missing") return released(addEntry(environment, now, missing(use)), use, now, "its disk is missing");
  if (disk.heldBy?.uid !== environment.uid)
    return released(sayNotOwn(environment, use, now), use, now, "its disk is not its own");
  const claim = environment.end.backup;
  // Search before the volume is checked, because a snapshot outlives its volume.
  const left = claim ? await resolveClaim(ctx, environment, use, disk, claim, now) : "nothing";
  if (typeof left !== "string") return left;
  const volume = disk.volume ? await findVolume(ctx, disk, disk.volume) : "gone";
  if (volume === "missed") return waitedFor(environment, now, "Waits until the volume of its disk is seen");
  if (volume === "gone") {
    return release(ctx, environment, use, now, whatIsLeft(disk));
  }
  // A paused worker may have made the run again, which then uses the volume; no other step searches for it.
  if (volume.attached) await removeLeftoverRuns(ctx, environment, "all");
  const held = volume.attached ? await detachVolumes(ctx, environment, [volume.id], now) : undefined;
  if (held) return held;
  if (volume.noBackup === "impossible") return leaveToDisk(ctx, environment, use, now);
  if (volume.noBackup === "unneeded") {
    await releaseDisk(ctx, environment);
    return released(environment, use, now, "has nothing to back up");
  }
  const begun = claim ?? { attempt: 1, since: now };
  const { attempt, since } = left === "failed" ? { attempt: begun.attempt + 1, since: now } : begun;
  if (attempt > MOST_ATTEMPTS) return release(ctx, environment, use, now, NOT_BACKED_UP);
  const next = { attempt, tried: nextTry(claim), since, until: now + CLAIM_MS };
  return claimSnapshot(ctx, environment, disk, volume.id, next, now);
}

function whatIsLeft(disk: Disk): string {
  if (seenBackups(disk).length > 0) return VOLUME_GONE;
  return disk.snapshots.some(({ completed }) => completed) ? NONE_SEEN : ALL_GONE;
}

function missing({ name }: DiskUse): string {
  return `The record of disk '${name}' is missing: it was not backed up`;
}

/** Notes that the disk was not backed up, unless this end itself released it. */
function sayNotOwn(environment: Environment, { name }: DiskUse, now: number): Environment {
  const { end, events } = environment;
  const isGivenOn = end.backup !== null || LAST_WORDS.some((word) => word === events.timeline.at(-1)?.reason);
  return isGivenOn
    ? environment
    : addEntry(environment, now, `Disk '${name}' is no longer its own: it was not backed up`);
}

/** Ends an attempt whose time is over. Its time stands still while the disk's record is unreadable. */
export async function endAttempt(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment> | undefined> {
  const {
    end: { backup },
    disk: use,
  } = environment;
  if (!backup || !use) return undefined;
  if (!(await readDisk(ctx, environment, use)))
    return waitedFor(withAttempt(environment, now), now, unreadableDisk(use.name));
  if (backup.attempt >= MOST_ATTEMPTS) return release(ctx, environment, use, now, NOT_BACKED_UP);
  return changed(withAttempt(environment, now, backup.attempt + 1), now, "its backup took too long");
}

function withAttempt(environment: Environment, now: number, attempt?: number): Environment {
  const { end } = environment;
  if (!end.backup) return environment;
  return {
    ...environment,
    end: { ...end, backup: { ...end.backup, attempt: attempt ?? end.backup.attempt, since: now } },
  };
}

function readDisk(ctx: WorkerContext, { owner }: Environment, { uid }: DiskUse): Promise<Disk | "missing" | undefined> {
  return unlessUnreadable(ctx, async () => (await findDisk(ctx, owner, uid)) ?? "missing");
}

/**
 * Records the snapshot of an earlier claim, or waits for one that may be listed late. Returns a string if it
 * waits for none.
 */
async function resolveClaim(
  ctx: WorkerContext,
  environment: Environment,
  use: DiskUse,
  { volume }: Disk,
  claim: BackupClaim,
  now: number,
): Promise<Step<Environment> | "nothing" | "failed"> {
  const left = volume ? await ctx.volumes.listSnapshots(volume.id) : [];
  const mine = left.find(
    ({ tags, state }) => state !== "failed" && tags.attempt?.startsWith(`${prefix(environment)}-`),
  );
  if (mine) {
    const { id, at, state, tags } = mine;
    const snapshot = { id, at, completed: state === "completed" };
    await releaseDisk(ctx, environment, (disk) =>
      withWork({ ...withSnapshot(disk, snapshot, tags.attempt), savedIn: id, lost: undefined }),
    );
    return released(environment, use, now, "backed up its disk");
  }
  // A failed snapshot with this claim's tag: the worker has acted, so there is nothing to wait for.
  if (left.some(({ tags }) => tags.attempt === formatTag(environment, claim))) return "failed";
  const { refused, until } = claim;
  if (now >= (refused === undefined ? until + ctx.volumes.listedWithinMs : until)) return "nothing";
  if (refused === undefined) return waitedFor(environment, now, "Waits for the backup of its disk");
  // The refusal is retried at `until`; nothing happens before.
  const step = waitedFor(environment, now, refusedNote(refused));
  return { ...step, record: { ...step.record, dueAt: until } };
}

function refusedNote(why: string): string {
  return shorten(`The backup of its disk was refused; retrying: ${why}`) ?? "";
}

async function claimSnapshot(
  ctx: WorkerContext,
  environment: Environment,
  disk: Disk,
  volumeId: string,
  claim: BackupClaim,
  now: number,
): Promise<Step<Environment>> {
  const tags = { ...snapshotTags(disk, disk.name), attempt: formatTag(environment, claim) };
  await listSnapshotMaking(ctx, disk, tags.attempt, volumeId);
  const claimed = { ...environment, end: { ...environment.end, backup: claim } };
  return {
    ...changed(claimed, now, "claims its backup"),
    async after(ctx) {
      try {
        await ctx.volumes.createSnapshot(volumeId, tags);
      } catch (error) {
        const refused = findRefusal(error);
        if (refused !== undefined) await noteRefusal(ctx, claimed, claim, refused);
        throw error;
      }
    },
  };
}

/** Records a refusal under this worker's own claim, so that no reconcile waits for a snapshot. */
async function noteRefusal(
  ctx: WorkerContext,
  environment: Environment,
  claim: BackupClaim,
  refused: string,
): Promise<void> {
  await changeRecord(ctx, {
    read: async () => {
      const item = await ctx.table.get(toKey(environment));
      return item && parseEnvironment(item);
    },
    decide(storedEnvironment) {
      const backup = storedEnvironment?.end.backup;
      if (!backup || storedEnvironment?.uid !== environment.uid || storedEnvironment.run.n !== environment.run.n)
        return undefined;
      if (backup.refused !== undefined || backup.until !== claim.until) return undefined;
      const now = ctx.clock.now();
      const until = now + pauseMs(now - claim.since);
      const noted = { ...storedEnvironment, end: { ...storedEnvironment.end, backup: { ...backup, refused, until } } };
      const note = refusedNote(refused);
      return storedEnvironment.events.timeline.some(({ reason }) => reason === note)
        ? noted
        : addEntry(noted, now, note);
    },
    what: "The backup is",
  });
}

function formatTag(environment: Environment, claim: BackupClaim): string {
  return `${prefix(environment)}-${countTries(claim)}`;
}

function prefix({ uid, run: { n: run } }: Environment): string {
  return `${uid}-r${run}`;
}

/** Releases the disk, whose own reconciles keep trying for the time of three attempts (lost-backup.ts). */
async function leaveToDisk(
  ctx: WorkerContext,
  environment: Environment,
  use: DiskUse,
  now: number,
): Promise<Step<Environment>> {
  if (!isSaid(environment, NO_BACKUPS)) return changed(addEntry(environment, now, NO_BACKUPS), now, NO_BACKUPS);
  ctx.log.warn("disk not backed up yet", { disk: use.uid, reason: NO_BACKUPS });
  const claim = environment.end.backup;
  const { attempt, since } = claim ?? { attempt: 1, since: now };
  const of = prefix(environment);
  const again = { tried: nextTry(claim), since, until: null, notBefore: now + pauseMs(0), refused: NO_BACKUPS };
  const lost = { of, attempt, ...again, gaveUp: null };
  await releaseDisk(ctx, environment, (disk) => withWork({ ...disk, savedIn: undefined, lost }));
  return released(environment, use, now, "leaves its backup to its disk");
}

async function release(
  ctx: WorkerContext,
  environment: Environment,
  use: DiskUse,
  now: number,
  note: string,
): Promise<Step<Environment>> {
  // Write the notice before releasing the disk: a reconcile that finds it released does not know why.
  if (!isSaid(environment, note)) return changed(addEntry(environment, now, note), now, note);
  const gaveUp = note === NOT_BACKED_UP ? LATEST_NOT_MADE : undefined;
  ctx.log.error("disk not backed up", { disk: use.uid, reason: gaveUp ?? note });
  const lost = gaveUp && { of: prefix(environment), attempt: MOST_ATTEMPTS, until: null, gaveUp };
  await releaseDisk(ctx, environment, (disk) => withWork({ ...disk, savedIn: undefined, lost: lost ?? disk.lost }));
  return released(environment, use, now, "lets its disk go");
}

function isSaid({ events: { timeline } }: Environment, note: string): boolean {
  return timeline.at(-1)?.reason === note;
}

function released(environment: Environment, use: DiskUse, now: number, log: string): Step<Environment> {
  return notifyDisk(changed({ ...environment, disk: { ...use, released: true } }, now, log));
}
