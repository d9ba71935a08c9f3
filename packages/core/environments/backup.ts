import { type Disk, findDisk } from "../disks/record.ts";
import { unlessUnreadable } from "../readable.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { listSnapshotMaking, lookForVolume, releaseDisk, unreadableDisk } from "./disk.ts";
import { detachVolumes } from "./lost-node.ts";
import { changed, tellingDisk, waitedFor } from "./pace.ts";
import type { DiskUse, Environment } from "./record.ts";
import { addEntry } from "./timeline.ts";

/** Longer than a worker that has claimed may still act: the step's budget and a call's time-out, twice over. */
export const CLAIM_MS = 60_000;
export const MOST_ATTEMPTS = 3;
const NOT_BACKED_UP = `Its disk could not be backed up, ${MOST_ATTEMPTS} times; the volume itself is kept`;
const VOLUME_GONE = "Its disk's volume is gone; its latest backup remains";

/**
 * Backs a disk up at the end of an environment that used it: one snapshot, its id recorded as the lease is given back.
 * CreateSnapshot cannot be repeated, so it is claimed first, and whoever comes later looks for what an earlier claim
 * left on that very volume (docs/architecture.md#claims).
 */
export async function backUp(
  ctx: WorkerContext,
  environment: Environment,
  use: DiskUse,
  now: number,
): Promise<Step<Environment>> {
  const disk = await unlessUnreadable(ctx, async () => (await findDisk(ctx, environment.owner, use.uid)) ?? "missing");
  if (!disk) return waitedFor(environment, now, unreadableDisk(use.name));
  if (disk === "missing" || disk.heldBy?.uid !== environment.uid)
    return released(environment, use, now, "its disk is not its own");
  const claim = environment.end.backup;
  // Before the volume is looked for: a snapshot outlives it.
  const resolved = claim && (await resolveClaim(ctx, environment, use, disk, claim, now));
  if (resolved) return resolved;
  const volume = disk.volume ? await lookForVolume(ctx, disk, disk.volume) : "gone";
  if (volume === "missed") return waitedFor(environment, now, "Waits until the volume of its disk is seen");
  if (volume === "gone") return release(ctx, environment, use, now, VOLUME_GONE);
  const held = volume.attached ? await detachVolumes(ctx, environment, [volume.id], now) : undefined;
  if (held) return held;
  if (claim && claim.attempt >= MOST_ATTEMPTS) return release(ctx, environment, use, now, NOT_BACKED_UP);
  return claimSnapshot(ctx, environment, disk, volume.id, now);
}

/** One that nobody answered for too long counts as failed, and the volume is kept after the last. */
export async function endAttempt(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment> | undefined> {
  const {
    end: { backup },
    disk,
  } = environment;
  if (!backup || !disk) return undefined;
  if (backup.attempt >= MOST_ATTEMPTS) return release(ctx, environment, disk, now, NOT_BACKED_UP);
  const next = { attempt: backup.attempt + 1, until: now, since: now };
  return changed({ ...environment, end: { ...environment.end, backup: next } }, now, "its backup took too long");
}

/** Records what an earlier claim left, or waits for who claimed; undefined: nobody is to be waited for any more. */
async function resolveClaim(
  ctx: WorkerContext,
  environment: Environment,
  use: DiskUse,
  { volume }: Disk,
  claim: { readonly attempt: number; readonly until: number },
  now: number,
): Promise<Step<Environment> | undefined> {
  const left = volume ? await ctx.volumes.listSnapshots(volume.id) : [];
  const mine = left.find(
    ({ tags, state }) => state !== "failed" && tags.attempt?.startsWith(`${prefix(environment)}-`),
  );
  if (mine) {
    const { id, at, state, tags } = mine;
    await releaseDisk(ctx, environment, { id, at, completed: state === "completed" }, tags.attempt);
    return released(environment, use, now, "backed up its disk");
  }
  // A snapshot of this very claim that failed: whoever claimed has acted, so there is nobody to wait for.
  const failed = left.some(({ tags }) => tags.attempt === attemptOf(environment, claim.attempt));
  return now < claim.until && !failed ? waitedFor(environment, now, "Waits for the backup of its disk") : undefined;
}

async function claimSnapshot(
  ctx: WorkerContext,
  environment: Environment,
  disk: Disk,
  volumeId: string,
  now: number,
): Promise<Step<Environment>> {
  const attempt = (environment.end.backup?.attempt ?? 0) + 1;
  const tags = { name: disk.name, disk: disk.uid, attempt: attemptOf(environment, attempt) };
  await listSnapshotMaking(ctx, disk, tags.attempt, volumeId);
  const claimed = {
    ...environment,
    end: { ...environment.end, backup: { attempt, until: now + CLAIM_MS, since: now } },
  };
  const step = changed(claimed, now, "claims its backup");
  return { ...step, act: (ctx) => ctx.volumes.createSnapshot(volumeId, tags) };
}

function attemptOf(environment: Environment, attempt: number): string {
  return `${prefix(environment)}-${attempt}`;
}

/** What all attempts of this run's end have in common. */
function prefix({ uid, run: { n: run } }: Environment): string {
  return `${uid}-r${run}`;
}

async function release(
  ctx: WorkerContext,
  environment: Environment,
  use: DiskUse,
  now: number,
  note: string,
): Promise<Step<Environment>> {
  // Said before the disk is let go: whoever finds it let go does not know why.
  if (!isSaid(environment, note)) return changed(addEntry(environment, now, note), now, note);
  await releaseDisk(ctx, environment);
  return released(environment, use, now, "lets its disk go");
}

function isSaid({ events: { timeline } }: Environment, note: string): boolean {
  return timeline.at(-1)?.reason === note;
}

function released(environment: Environment, use: DiskUse, now: number, did: string): Step<Environment> {
  return tellingDisk(changed({ ...environment, disk: { ...use, released: true } }, now, did));
}
