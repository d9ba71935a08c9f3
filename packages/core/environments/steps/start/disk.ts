import type { Context } from "../../../context.ts";
import { type Absence, isLate } from "../../../disks/absence.ts";
import { findLoss, findOrigin, seekSource, withWork } from "../../../disks/backups/source.ts";
import { acquire } from "../../../disks/names/acquire.ts";
import { handOver } from "../../../disks/names/lease.ts";
import {
  type Disk,
  type DiskSnapshot,
  findDisk,
  hasPendingSnapshot,
  isVolumeGone,
  longPending,
  mayHold,
  seenBackups,
  sighted,
  volumeAbsence,
  withMaking,
  withVolumeSeen,
} from "../../../disks/record.ts";
import type { Volume, VolumeRef } from "../../../ports/volumes.ts";
import { Conflict, VolumeRefused } from "../../../problem.ts";
import { listMaking, tryToMakeVolume, volumeMaking } from "../../../reconciler/pending-creates.ts";
import type { WorkerContext } from "../../../reconciler/step.ts";
import { keyText } from "../../../store/keys.ts";
import { unlessPoisoned, unlessUnreadable } from "../../../store/readable.ts";
import { sameData } from "../../../store/same-data.ts";
import { type Writing, writeRecord } from "../../../store/write-record.ts";
import { utcText } from "../../../text/utc.ts";
import { refusedVolume, unreadableDisk, waitsForDisk } from "../../record/disk/disk-use.ts";
import { type Environment, toKey } from "../../record/record.ts";

/** Limit of kept volume ids, reached only if the volume service loses one volume after another. */
const MOST_SUPERSEDED = 10;

export type DiskReadiness =
  /** `disk` is null if the environment has none. */
  | { readonly kind: "ready"; readonly disk: Disk | null }
  | { readonly kind: "waits"; readonly reason: string }
  | { readonly kind: "lost"; readonly reason: string }
  | { readonly kind: "missing"; readonly reason: string };

/**
 * Repairs a missing lease (docs/architecture/consistency.md). Throws `Unreadable` if a newer version wrote the disk;
 * the environment then keeps its place.
 */
export async function readyDisk(ctx: Context<"table">, environment: Environment): Promise<DiskReadiness> {
  if (!environment.disk) return { kind: "ready", disk: null };
  const { uid, name } = environment.disk;
  const disk = await unlessPoisoned(ctx, async () => (await findDisk(ctx, environment.owner, uid)) ?? "missing");
  // The disk's holder is unknown. In line, the environment would be granted capacity that it cannot use.
  if (!disk) return { kind: "waits", reason: unreadableDisk(name) };
  if (disk === "missing") return { kind: "missing", reason: `Disk '${name}' no longer exists` };
  const holder = { uid: environment.uid, key: keyText(toKey(environment)), id: environment.id };
  const lease = await acquire(ctx, disk, holder);
  if (lease === "changed") throw new Conflict(`disk ${uid}`);
  if (lease.kind === "gone") return { kind: "lost", reason: `Disk '${name}' is marked for deletion` };
  if (lease.kind === "inUse") return { kind: "lost", reason: `Disk '${name}' is in use by ${lease.by}` };
  const held = lease.kind === "takes" ? lease.disk : disk;
  const isOwn = held.heldBy?.uid === environment.uid;
  if (!isOwn || hasPendingSnapshot(held)) {
    const pending = longPending(held.snapshots, ctx.clock.now());
    return { kind: "waits", reason: waitsForDisk(name, isOwn ? undefined : held.heldBy?.id, pending) };
  }
  return { kind: "ready", disk: held };
}

export type Opened =
  | { readonly kind: "open"; readonly disk: Disk }
  | { readonly kind: "waits"; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "lost"; readonly reason: string };

/**
 * Opens the disk. An empty volume is made only if there never was one. A missing volume is restored from the newest
 * backup, or waits while none is visible (docs/architecture/failures.md#missing-disks). Undefined if the environment
 * does not hold the disk.
 */
export async function openDisk(
  ctx: WorkerContext,
  environment: Environment,
  zone: string,
): Promise<Opened | undefined> {
  const { disk: use } = environment;
  const storedDisk = use ? await findDisk(ctx, environment.owner, use.uid) : undefined;
  if (!use || storedDisk?.heldBy?.uid !== environment.uid) return undefined;
  const now = ctx.clock.now();
  // The first machine of a withdrawn run may have written to the disk, which then no longer depends on its source.
  const isNews = use.written === true && storedDisk.source !== undefined && !storedDisk.written;
  const disk = await findSnapshots(ctx, isNews ? await written(ctx, withWork(storedDisk)) : storedDisk);
  if (disk.volume && disk.volumeMissedAt === undefined) return { kind: "open", disk };
  const backup = seenBackups(disk).at(-1);
  const missed = disk.snapshots
    .filter(mayHold)
    .filter(({ at, missedAt }) => missedAt !== undefined && at > (backup?.at ?? 0));
  const waits = whyItWaits(disk, backup, missed);
  if (waits !== undefined) return { kind: "waits", reason: waits(`disk '${use.name}'`) };
  // The source is another disk's backup. After the first run, later volumes are made from the disk's own backups.
  const source = findOrigin(disk);
  if (disk.volume && !backup && !source) return loseDisk(ctx, disk, use.name, now);
  if (!backup && source?.missedAt !== undefined) return missSource(ctx, disk, source, use.name, now);
  for (const { id } of missed) ctx.log.error("a backup is gone", { disk: disk.uid, snapshot: id });
  const origin = backup ?? source;
  const wanted = { zone, sizeGb: disk.sizeGb, from: origin?.id ?? null };
  // Use a new token: with the old one, the volume service may return the missing volume again.
  const { volumeMissedAt = 0 } = disk;
  const usable = disk.making.filter(({ at }) => at >= volumeMissedAt);
  const { entry, isListed } = volumeMaking(ctx, usable, disk.uid, wanted);
  const named = isListed ? disk : await written(ctx, withMaking(disk, listMaking(disk.making, entry)));
  const volume = await tryToMakeVolume(ctx, disk, entry);
  if (volume instanceof VolumeRefused) {
    if (volume.isForGood) return { kind: "refused", reason: volume.message };
    return { kind: "waits", reason: refusedVolume(`the volume of disk '${use.name}'`, volume.message) };
  }
  const restored = { by: environment.uid, at: origin?.at ?? null };
  return { kind: "open", disk: await written(ctx, { ...replaced(ctx, named), volume, restored }) };
}

/** Searches for the volume and, if it is missing, for all backups; writes what it sees. */
async function findSnapshots(ctx: WorkerContext, disk: Disk): Promise<Disk> {
  const isSeen = disk.volume !== null && (await ctx.volumes.findVolume(disk.volume.id)) !== undefined;
  // Count absence from the answer, because time without a check does not count.
  const now = ctx.clock.now();
  if (isSeen && disk.volumeMissedAt === undefined && disk.lostAt === undefined) return disk;
  if (isSeen) return written(ctx, withVolumeSeen(disk, true, now));
  const checkSnapshot = async (snapshot: DiskSnapshot) =>
    snapshot.completed
      ? sighted(snapshot, (await ctx.volumes.findSnapshot(snapshot.id)) !== undefined, ctx.clock.now())
      : snapshot;
  const snapshots = await Promise.all(disk.snapshots.map(checkSnapshot));
  const checkedDisk = await seekSource(ctx, { ...withVolumeSeen(disk, false, now), snapshots });
  return sameData({ ...checkedDisk, dueAt: disk.dueAt }, disk) ? disk : written(ctx, checkedDisk);
}

function whyItWaits(
  record: Disk,
  backup: DiskSnapshot | undefined,
  missed: readonly DiskSnapshot[],
): ((disk: string) => string) | undefined {
  const { volume, snapshots, making } = record;
  if (volume && isLate(volumeAbsence(record))) return (disk) => `The volume of ${disk} is missing; searching for it`;
  // An older backup in its place would lose the work in between.
  const isNewerLate = missed.some(isLate);
  if (backup && isNewerLate) return (disk) => `The backup of ${disk} is missing; searching for it`;
  const mayHaveOne = snapshots.some(mayHold) || (volume && making.some(({ kind }) => kind === "snapshot"));
  if (backup || !mayHaveOne) return undefined;
  return (disk) =>
    volume ? `Neither volume nor backups of ${disk} are visible` : `The backups of ${disk} are missing`;
}

/** Waits for a source or a first volume that may be listed late; otherwise loses the disk. */
async function missSource(ctx: WorkerContext, disk: Disk, source: Absence, name: string, now: number): Promise<Opened> {
  const mayCome = isLate(source) || disk.making.some(({ kind }) => kind === "volume");
  if (!mayCome) return loseDisk(ctx, disk, name, now);
  const reason = `The snapshot that disk '${name}' starts from is missing; searching for it`;
  return { kind: "waits", reason };
}

/** Declares the disk lost: an empty volume would pass for its content. It recovers if its content is seen again. */
async function loseDisk(ctx: WorkerContext, disk: Disk, name: string, now: number): Promise<Opened> {
  const { uid, volume, source } = disk;
  if (disk.lostAt === undefined) {
    ctx.log.error("disk lost", { disk: uid, volume: volume?.id, ...(!volume && { source: source?.id }) });
    await written(ctx, { ...disk, lostAt: now, dueAt: now });
  }
  return { kind: "lost", reason: `Disk '${name}' is lost: ${lossText(disk, now)}` };
}

function lossText(disk: Disk, now: number): string {
  const loss = findLoss(disk, now);
  if (loss.kind === "origin") return "the snapshot that it starts from is gone; delete or rename it";
  if (loss.kind === "volume") return "its volume is gone and there is no backup; delete or rename it";
  return `its volume is gone; restore its snapshot under another name until ${utcText(loss.until)}`;
}

/** Returns the disk without its missing volume, whose id is kept because it may appear again. */
function replaced(ctx: WorkerContext, disk: Disk): Disk {
  const { uid, volume, supersededVolumes = [] } = disk;
  const seen = withVolumeSeen(disk, true, ctx.clock.now());
  if (!volume) return seen;
  ctx.log.error("a disk's volume is gone", { disk: uid, volume: volume.id });
  return { ...seen, lost: disk.lost, supersededVolumes: [volume.id, ...supersededVolumes].slice(0, MOST_SUPERSEDED) };
}

/** Searches for the volume. It counts as gone only after the time in which a new volume is certain to be listed. */
export async function findVolume(
  ctx: WorkerContext,
  disk: Disk,
  { id }: VolumeRef,
): Promise<Volume | "missed" | "gone"> {
  const volume = await ctx.volumes.findVolume(id);
  const checkedDisk = withVolumeSeen(disk, volume !== undefined, ctx.clock.now());
  if (isVolumeGone(checkedDisk)) return "gone";
  if (!sameData({ ...checkedDisk, dueAt: disk.dueAt }, disk)) await written(ctx, checkedDisk);
  return volume ?? "missed";
}

export async function listSnapshotMaking(
  ctx: WorkerContext,
  disk: Disk,
  token: string,
  volumeId: string,
): Promise<void> {
  const entry = { kind: "snapshot", token, from: volumeId, at: ctx.clock.now() } as const;
  await written(ctx, withMaking(disk, listMaking(disk.making, entry)));
}

async function written(ctx: Writing, disk: Disk): Promise<Disk> {
  const record = await writeRecord(ctx, disk);
  if (!record) throw new Conflict(`disk ${disk.uid}`);
  return record;
}

/** Gives back the lease on a disk without a run. If the disk is unreadable, the lease ends with its environment. */
export async function releaseUnused(ctx: Context<"table">, environment: Environment): Promise<void> {
  await unlessUnreadable(ctx, () => releaseDisk(ctx, environment));
}

export async function releaseDisk(
  ctx: Context<"table">,
  environment: Environment,
  withWhatIsLeft: (disk: Disk) => Disk = (disk) => disk,
): Promise<void> {
  const disk = environment.disk ? await findDisk(ctx, environment.owner, environment.disk.uid) : undefined;
  if (!disk) return;
  const isNext = disk.next?.uid === environment.uid;
  if (disk.heldBy?.uid !== environment.uid && !isNext) return;
  const now = ctx.clock.now();
  const left = withWhatIsLeft(disk);
  const released: Disk = isNext ? { ...left, next: null } : handOver(left);
  await written(ctx, { ...released, lastUsedAt: now, dueAt: now });
}
