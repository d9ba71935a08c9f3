import type { Context, Volume, VolumeRef } from "../context.ts";
import { acquire } from "../disks/acquire.ts";
import { handOver } from "../disks/lease.ts";
import {
  type Disk,
  type DiskSnapshot,
  findDisk,
  hasPendingSnapshot,
  longPending,
  MISSED_MS,
  withMaking,
  withSnapshot,
  zonePinnedBy,
} from "../disks/record.ts";
import { keyText } from "../keys.ts";
import { listMaking, makeVolume, settlesAt, volumeMaking } from "../making.ts";
import { Conflict } from "../problem.ts";
import { unlessUnreadable } from "../readable.ts";
import { utcText } from "../utc.ts";
import type { WorkerContext } from "../worker.ts";
import { type Writing, writeRecord } from "../write-record.ts";
import { type Environment, keyOf } from "./record.ts";

/** Whether an environment that waits may stand in line: its disk is its own and not being backed up. */
export type DiskReadiness =
  | { readonly kind: "ready"; readonly zone: string | null }
  | { readonly kind: "waits"; readonly reason: string }
  | { readonly kind: "lost"; readonly reason: string };

/** Why an environment waits that stands in no line yet. */
export function waitsForDisk(name: string, pending?: DiskSnapshot): string {
  const since = pending ? `; its snapshot is pending since ${utcText(pending.at)}` : "";
  return `Waits until disk '${name}' is backed up${since}`;
}

/** Why an environment waits whose disk nobody knows anything of. */
export function unreadableDisk(name: string): string {
  return `The record of disk '${name}' cannot be read; waiting until it can be`;
}

/**
 * Repairs a lease that was never written, or says that the disk is somebody else's
 * (docs/architecture.md#the-item-that-decides).
 */
export async function readyDisk(ctx: Context<"table">, environment: Environment): Promise<DiskReadiness> {
  if (!environment.disk) return { kind: "ready", zone: null };
  const { uid, name } = environment.disk;
  const disk = await unlessUnreadable(ctx, async () => (await findDisk(ctx, environment.owner, uid)) ?? "missing");
  // Nobody knows whose it is. In line it would be granted what it cannot take, for as long as that lasts.
  if (!disk) return { kind: "waits", reason: unreadableDisk(name) };
  if (disk === "missing") return { kind: "lost", reason: `Disk '${name}' does not exist any more` };
  const holder = { uid: environment.uid, key: keyText(keyOf(environment)), id: environment.id };
  const lease = await acquire(ctx, disk, holder);
  if (lease === "changed") throw new Conflict(`disk ${uid}`);
  if (lease.kind === "gone") return { kind: "lost", reason: `Disk '${name}' is marked for deletion` };
  if (lease.kind === "inUse") return { kind: "lost", reason: `Disk '${name}' is in use by ${lease.by}` };
  const held = lease.kind === "takes" ? lease.disk : disk;
  if (held.heldBy?.uid !== environment.uid || hasPendingSnapshot(held)) {
    const pending = longPending(held.snapshots, ctx.clock.now());
    return { kind: "waits", reason: waitsForDisk(name, pending) };
  }
  return { kind: "ready", zone: zonePinnedBy(held.volume) };
}

/**
 * The disk with its volume, which is made where there is none any more: from the newest backup, else empty. Undefined
 * when the disk is not this environment's, `volume` or `backup` while that may only be out of sight. Throws `Conflict` when
 * somebody else wrote it meanwhile.
 */
export async function openDisk(
  ctx: WorkerContext,
  environment: Environment,
  zone: string,
): Promise<Disk | "volume" | "backup" | undefined> {
  const disk = environment.disk ? await findDisk(ctx, environment.owner, environment.disk.uid) : undefined;
  if (disk?.heldBy?.uid !== environment.uid) return undefined;
  const sight = disk.volume ? await lookForVolume(ctx, disk, disk.volume) : "gone";
  if (sight === "missed") return "volume";
  if (sight !== "gone") return disk;
  const backup = await newestBackup(ctx, disk);
  if (backup === "missed") return "backup";
  const wanted = { zone, sizeGb: disk.sizeGb, from: backup?.id ?? null };
  const { entry, isListed } = volumeMaking(ctx, disk.making, disk.uid, wanted);
  const named = isListed ? disk : await written(ctx, withMaking(disk, listMaking(disk.making, entry)));
  const volume = await makeVolume(ctx, entry);
  const isRestored = disk.volume !== null || backup !== undefined;
  const restored = isRestored ? { by: environment.uid, at: backup?.at ?? null } : disk.restored;
  return written(ctx, { ...named, volume, volumeMissedAt: undefined, restored });
}

/** Not seen is not gone: it is asked for again, and no earlier believed than what was just made is surely listed. */
export async function lookForVolume(
  ctx: WorkerContext,
  disk: Disk,
  { id }: VolumeRef,
): Promise<Volume | "missed" | "gone"> {
  const volume = await ctx.volumes.findVolume(id);
  const { volumeMissedAt: missedAt } = disk;
  const now = ctx.clock.now();
  const isYoung = disk.making.some((entry) => entry.kind === "volume" && now < settlesAt(entry));
  if (!volume && !isYoung && missedAt !== undefined && now - missedAt >= MISSED_MS) return "gone";
  const isMarked = missedAt !== undefined;
  if (volume ? isMarked : !isMarked) await written(ctx, { ...disk, volumeMissedAt: volume ? undefined : now });
  return volume ?? "missed";
}

/**
 * The newest completed one that is still there; `missed` while a newer one may only be out of sight, or its mark was
 * just taken off. An older one in its place would cost the work in between.
 */
async function newestBackup(ctx: WorkerContext, disk: Disk): Promise<DiskSnapshot | "missed" | undefined> {
  for (const snapshot of disk.snapshots.toReversed()) {
    const { id, completed, missedAt } = snapshot;
    if (!completed) continue;
    const isSeen = (await ctx.volumes.findSnapshot(id)) !== undefined;
    if (isSeen && missedAt === undefined) return snapshot;
    const now = ctx.clock.now();
    if (isSeen || missedAt === undefined) {
      await written(ctx, withSnapshot(disk, { ...snapshot, missedAt: isSeen ? undefined : now }, undefined));
      return "missed";
    }
    if (now - missedAt < MISSED_MS) return "missed";
    ctx.log.error("a backup is gone", { disk: disk.uid, snapshot: id });
  }
  return undefined;
}

/** Lists the attempt to make a snapshot, so that it is named before it exists. */
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

/**
 * Gives back the lease on a disk that no run was made with. On a disk whose record cannot be read it stays written: it
 * is valid only while its environment lives.
 */
export async function releaseUnused(ctx: Context<"table">, environment: Environment): Promise<void> {
  await unlessUnreadable(ctx, () => releaseDisk(ctx, environment));
}

/** Gives the lease back, with what the end left, in one write; nothing happens when it is not held. */
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
