import type { VolumeSnapshot } from "../../ports/volumes.ts";
import { listMaking } from "../../reconciler/pending-creates.ts";
import { CLAIM_MS, findRefusal, MOST_ATTEMPTS, pauseMs } from "../../reconciler/snapshot-claim.ts";
import type { Step, WorkerContext } from "../../reconciler/step.ts";
import { changeRecord } from "../../store/write-record.ts";
import { readHolders } from "../names/lease.ts";
import { closeOperation } from "../operations.ts";
import {
  type Disk,
  findDisk,
  isPending,
  isVolumeGone,
  NO_BACKUPS,
  onDemandMark,
  type SnapshotRequest,
  snapshotTags,
  withSnapshot,
  withVolumeSeen,
} from "../record.ts";
import { later } from "./lost-backup.ts";

/** A request fails if the provider refuses all attempts for this long, because its owner waits for the result. */
const LONGEST_REFUSED_MS = 30 * 60_000;
const CLAIMED_RETRY_MS = 5_000;

const IN_USE = "No snapshot of a disk in use can be made here; its job makes a backup when it ends";
const NOTHING_WRITTEN = "Nothing was written to the disk yet";
const NO_VOLUME = "Its volume was not found";
const FAILED = `It failed ${MOST_ATTEMPTS} times`;
const DISK_DELETED = "The disk was marked for deletion";

/** Takes the next step of a requested snapshot, claimed like a backup (docs/architecture/consistency.md#claims). */
export async function takeSnapshot(ctx: WorkerContext, disk: Disk, now: number): Promise<Step<Disk> | undefined> {
  const { snapshotRequest: request } = disk;
  if (!request) return undefined;
  const isPurged = disk.phase === "deleted" && now >= (disk.purgeAt ?? Number.POSITIVE_INFINITY);
  if (isPurged || (disk.phase === "deleted" && request.snapshot === undefined))
    return fail(ctx, disk, request, DISK_DELETED, now);
  if (request.snapshot !== undefined) return followRequested(ctx, disk, request, now);
  if (now < (request.notBefore ?? 0)) return undefined;
  const left = request.attempt === 0 ? "nothing" : await findLeftover(ctx, disk, request);
  if (typeof left !== "string") return recorded(ctx, disk, request, left, now);
  if (request.until !== null) return resolveClaim(ctx, disk, request, request.until, left, now);
  if (left === "failed" && request.attempt >= MOST_ATTEMPTS) return fail(ctx, disk, request, FAILED, now);
  if (request.refused !== undefined && now - request.at >= LONGEST_REFUSED_MS)
    return fail(ctx, disk, request, request.refused, now);
  return attempt(ctx, disk, request, now);
}

export function nextRequestAt({ snapshotRequest: request }: Disk, now: number): number | null {
  return request && request.snapshot === undefined ? (request.notBefore ?? now) : null;
}

async function followRequested(
  ctx: WorkerContext,
  disk: Disk,
  request: SnapshotRequest,
  now: number,
): Promise<Step<Disk> | undefined> {
  const found = disk.snapshots.find(({ id }) => id === request.snapshot);
  if (found?.completed) {
    await closeOperation(ctx, disk.owner, request.operation, null, found.id);
    return later({ ...disk, snapshotRequest: undefined }, now, now, "has the snapshot that was requested");
  }
  if (found && !found.failed && isPending(found)) return undefined;
  if (request.attempt >= MOST_ATTEMPTS) return fail(ctx, disk, request, FAILED, now);
  const again = { ...request, snapshot: undefined, until: null };
  return later({ ...disk, snapshotRequest: again }, now, now, "has a snapshot that failed");
}

async function findLeftover(
  ctx: WorkerContext,
  { volume, snapshots }: Disk,
  request: SnapshotRequest,
): Promise<VolumeSnapshot | "failed" | "nothing"> {
  const left = volume ? await ctx.volumes.listSnapshots(volume.id) : [];
  const failed = new Set(snapshots.flatMap((snapshot) => (snapshot.failed ? [snapshot.id] : [])));
  const isWhole = ({ id, state }: VolumeSnapshot) => state !== "failed" && !failed.has(id);
  const mine = left.find((snapshot) => isWhole(snapshot) && snapshot.tags.attempt?.startsWith(`${request.operation}-`));
  if (mine) return mine;
  return left.some(({ tags }) => tags.attempt === formatTag(request)) ? "failed" : "nothing";
}

function recorded(
  ctx: WorkerContext,
  disk: Disk,
  request: SnapshotRequest,
  { id, at, state, tags }: VolumeSnapshot,
  now: number,
): Step<Disk> {
  const snapshot = { id, at, completed: state === "completed", ...onDemandMark(ctx, request.operation) };
  const found = withSnapshot(disk, snapshot, tags.attempt);
  const followed = { ...request, until: null, notBefore: undefined, refused: undefined, snapshot: id };
  return later({ ...found, snapshotRequest: followed }, now, now, "recorded the snapshot that was requested");
}

/** Waits for the worker that claimed. Its snapshot may be listed late. */
function resolveClaim(
  ctx: WorkerContext,
  disk: Disk,
  request: SnapshotRequest,
  until: number,
  left: "failed" | "nothing",
  now: number,
): Step<Disk> {
  if (left === "nothing" && now < until)
    return later(disk, now + CLAIMED_RETRY_MS, now, "waits for the snapshot that was requested");
  const notBefore = left === "nothing" ? until + ctx.volumes.listedWithinMs : now;
  return later({ ...disk, snapshotRequest: { ...request, until: null, notBefore } }, now, now, "ends a claim");
}

async function attempt(
  ctx: WorkerContext,
  disk: Disk,
  request: SnapshotRequest,
  now: number,
): Promise<Step<Disk> | undefined> {
  const found = disk.volume ? await ctx.volumes.findVolume(disk.volume.id) : undefined;
  if (!found) {
    const missed = withVolumeSeen(disk, false, ctx.clock.now());
    if (!disk.volume || isVolumeGone(missed)) return fail(ctx, missed, request, NO_VOLUME, now);
    return later({ ...missed, snapshotRequest: putOff(request, NO_VOLUME, now) }, now, now, "does not see its volume");
  }
  const seen = withVolumeSeen(disk, true, now);
  if (found.noBackup === "impossible") return fail(ctx, seen, request, NO_BACKUPS, now);
  if (found.noBackup === "unneeded") return fail(ctx, seen, request, NOTHING_WRITTEN, now);
  if (!ctx.volumes.snapshotsInUse) {
    const { current, following } = (await readHolders(ctx, [disk])).get(disk.uid) ?? {};
    if ([current, following].some((holder) => holder && !holder.isEnding)) return fail(ctx, seen, request, IN_USE, now);
    if (current || following) return later(disk, now + CLAIMED_RETRY_MS, now, "waits until its job has ended");
  }
  return claim(seen, request, found.id, now);
}

function claim(disk: Disk, request: SnapshotRequest, volumeId: string, now: number): Step<Disk> {
  // A refused attempt keeps its number. The first claim needs one, too, or no reconcile would search for its snapshot.
  const number = Math.max(1, request.attempt + (request.refused === undefined ? 1 : 0));
  const claimed = { ...request, attempt: number, until: now + CLAIM_MS, notBefore: undefined, refused: undefined };
  const tags = { ...snapshotTags(disk, disk.name), attempt: formatTag(claimed) };
  const making = listMaking(disk.making, { kind: "snapshot", token: tags.attempt, from: volumeId, at: now });
  return {
    ...later({ ...disk, snapshotRequest: claimed, making }, now, now, "claims the snapshot that was requested"),
    async after(ctx) {
      try {
        await ctx.volumes.createSnapshot(volumeId, tags);
      } catch (error) {
        const refused = findRefusal(error);
        if (refused !== undefined) await noteRefusal(ctx, disk, claimed, refused);
        throw error;
      }
    },
  };
}

async function noteRefusal(
  ctx: WorkerContext,
  { owner, uid }: Disk,
  claimed: SnapshotRequest,
  refused: string,
): Promise<void> {
  await changeRecord(ctx, {
    read: () => findDisk(ctx, owner, uid),
    decide(disk) {
      const request = disk?.snapshotRequest;
      if (!disk || request?.operation !== claimed.operation || request.until !== claimed.until) return undefined;
      return { ...disk, snapshotRequest: putOff(request, refused, ctx.clock.now()) };
    },
    what: "The disk is",
  });
}

function putOff(request: SnapshotRequest, refused: string, now: number): SnapshotRequest {
  return { ...request, until: null, notBefore: now + pauseMs(now - request.at), refused };
}

/** Gives the request up. A snapshot of a late call is found by its token (pending-creates.ts). */
async function fail(
  ctx: WorkerContext,
  disk: Disk,
  { operation }: SnapshotRequest,
  why: string,
  now: number,
): Promise<Step<Disk>> {
  await closeOperation(ctx, disk.owner, operation, why);
  ctx.log.warn("snapshot on demand not made", { disk: disk.uid, operation, reason: why });
  return later({ ...disk, snapshotRequest: undefined }, now, now, "gave the snapshot up that was requested");
}

function formatTag({ operation, attempt }: SnapshotRequest): string {
  return `${operation}-${attempt}`;
}
