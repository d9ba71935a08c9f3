import type { VolumeSnapshot } from "../context.ts";
import { CLAIM_MS, MOST_ATTEMPTS } from "../environments/backup.ts";
import { LISTED_MS, listMaking } from "../making.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { readHolders } from "./lease.ts";
import {
  type Disk,
  type DiskSnapshot,
  hasPendingSnapshot,
  type LostBackup,
  MISSED_MS,
  withSnapshot,
} from "./record.ts";

const CLAIMED_LOOK_MS = 5_000;

/**
 * Asks what became of pending snapshots. Those that failed are noted, and go at the next look: who removed one and died
 * would leave a snapshot that may just not be listed yet. The newest of all is to be made again.
 */
export async function followSnapshots(ctx: WorkerContext, disk: Disk, now: number): Promise<Disk> {
  if (!disk.snapshots.some((snapshot) => !snapshot.completed)) return disk;
  const followed = await Promise.all(
    disk.snapshots.map(async (snapshot): Promise<DiskSnapshot | undefined> => {
      if (snapshot.completed) return snapshot;
      const found = await ctx.volumes.findSnapshot(snapshot.id);
      const completed = found?.state === "completed";
      if (found && found.state !== "failed") return { ...snapshot, completed, missedAt: undefined };
      if (found && !snapshot.failed) return { ...snapshot, failed: true };
      if (!snapshot.failed && !isGone(snapshot, now)) return { ...snapshot, missedAt: snapshot.missedAt ?? now };
      ctx.log.error("snapshot failed", { disk: disk.uid, snapshot: snapshot.id });
      await ctx.volumes.removeSnapshot(snapshot.id);
      return undefined;
    }),
  );
  const snapshots = followed.filter((snapshot) => snapshot !== undefined);
  const newest = followed.at(-1);
  if (newest) return { ...disk, snapshots, lost: newest.completed ? undefined : disk.lost };
  const lost = disk.lost ?? { of: disk.snapshots.at(-1)?.id ?? "", attempt: 1, until: null, gaveUp: null };
  return { ...disk, snapshots, lost };
}

/** Of one that was not found: it is listed by now, and an earlier look did not find it either. */
function isGone({ at, missedAt }: DiskSnapshot, now: number): boolean {
  return now - at >= LISTED_MS && missedAt !== undefined && now - missedAt >= MISSED_MS;
}

/**
 * The next step of a backup that failed after it was recorded: claimed, made and recorded as at an environment's end
 * (environments/backup.ts), three attempts in all, and only while nobody holds the disk: whoever has it backs it up at
 * his own end. Undefined when there is nothing to do now.
 */
export async function makeAgain(ctx: WorkerContext, disk: Disk, now: number): Promise<Step<Disk> | undefined> {
  const { lost, volume } = disk;
  if (!lost) return undefined;
  if (lost.until !== null) return resolveClaim(ctx, disk, lost, lost.until, now);
  if (!isWanted(disk) || (await isHeld(ctx, disk))) return undefined;
  if (lost.attempt >= MOST_ATTEMPTS) return giveUp(ctx, disk, lost, now, `failed ${MOST_ATTEMPTS} times; ${KEPT}`);
  const found = volume ? await ctx.volumes.findVolume(volume.id) : undefined;
  if (!found && volume && isFirstMiss(disk, now)) {
    const missed = { ...disk, volumeMissedAt: disk.volumeMissedAt ?? now };
    return later(missed, now + MISSED_MS, "does not see its volume");
  }
  if (!found) return giveUp(ctx, disk, lost, now, "failed, and its volume is gone");
  const seen = { ...disk, volumeMissedAt: undefined };
  if (found.attached) return later(seen, now + CLAIMED_LOOK_MS, "waits until it is detached");
  return claim(seen, { ...lost, attempt: lost.attempt + 1, until: now + CLAIM_MS }, found.id, now);
}

/** Whether a backup that failed is still to be made again, once nobody holds the disk. */
export function isWanted(disk: Disk): boolean {
  return (
    disk.lost !== undefined && disk.lost.gaveUp === null && disk.phase === "available" && !hasPendingSnapshot(disk)
  );
}

function isFirstMiss({ volumeMissedAt }: Disk, now: number): boolean {
  return volumeMissedAt === undefined || now - volumeMissedAt < MISSED_MS;
}

const KEPT = "the volume itself is kept";

async function isHeld(ctx: WorkerContext, disk: Disk): Promise<boolean> {
  const { current, following } = (await readHolders(ctx, [disk])).get(disk.uid) ?? {};
  return current !== undefined || following !== undefined;
}

/** Whoever comes after a claim looks for what it left on that very volume (docs/architecture.md#claims). */
async function resolveClaim(
  ctx: WorkerContext,
  disk: Disk,
  lost: LostBackup,
  until: number,
  now: number,
): Promise<Step<Disk>> {
  const left = disk.volume ? await ctx.volumes.listSnapshots(disk.volume.id) : [];
  const mine = left.find(({ tags, state }) => state !== "failed" && tags.attempt?.startsWith(`${lost.of}-`));
  const open = { ...disk, lost: { ...lost, until: null } };
  if (mine) return later(recorded(open, mine), now, "backed up again");
  const failed = left.some(({ tags }) => tags.attempt === attemptOf(lost));
  if (now < until && !failed) return later(disk, now + CLAIMED_LOOK_MS, "waits for its backup");
  return later(open, now, "has no backup of this attempt");
}

/** Found whole, nothing is lost any more; found pending, it may still fail as the one before did. */
function recorded(disk: Disk, { id, at, state, tags }: VolumeSnapshot): Disk {
  const completed = state === "completed";
  return { ...withSnapshot(disk, { id, at, completed }, tags.attempt), lost: completed ? undefined : disk.lost };
}

function claim(disk: Disk, lost: LostBackup, volumeId: string, now: number): Step<Disk> {
  const attempt = attemptOf(lost);
  const tags = { name: disk.name, disk: disk.uid, attempt };
  const making = listMaking(disk.making, { kind: "snapshot", token: attempt, from: volumeId, at: now });
  const claimed = later({ ...disk, lost, making }, now, "claims its backup");
  return { ...claimed, act: (ctx) => ctx.volumes.createSnapshot(volumeId, tags) };
}

function attemptOf({ of, attempt }: LostBackup): string {
  return `${of}-${attempt}`;
}

function giveUp(ctx: WorkerContext, disk: Disk, lost: LostBackup, now: number, what: string): Step<Disk> {
  const gaveUp = `Its latest backup ${what}`;
  ctx.log.error("disk not backed up", { disk: disk.uid, reason: gaveUp });
  return later({ ...disk, lost: { ...lost, gaveUp } }, now, "gave its backup up");
}

function later(disk: Disk, dueAt: number, did: string): Step<Disk> {
  return { record: { ...disk, attempts: 0, fault: disk.lost?.gaveUp ?? null, dueAt }, sends: [], did };
}
