import type { Context } from "../context.ts";
import { acquire } from "../disks/acquire.ts";
import { handOver } from "../disks/lease.ts";
import { type Disk, type DiskSnapshot, findDisk, hasPendingSnapshot } from "../disks/record.ts";
import { keyText } from "../keys.ts";
import { Conflict } from "../problem.ts";
import type { WorkerContext } from "../worker.ts";
import { writeRecord } from "../write-record.ts";
import { type Environment, keyOf } from "./record.ts";

/** Whether an environment that waits may stand in line: its disk is its own and not being backed up. */
export type DiskReadiness =
  | { readonly kind: "ready"; readonly zone: string | null }
  | { readonly kind: "waits" }
  | { readonly kind: "lost"; readonly reason: string };

/** Why an environment waits that stands in no line yet. */
export function waitsForDisk(name: string): string {
  return `Waits until disk '${name}' is backed up`;
}

/** Repairs a lease that was never written, or says that the disk is somebody else's (design section 3). */
export async function readyDisk(ctx: Context<"table">, environment: Environment): Promise<DiskReadiness> {
  if (!environment.disk) return { kind: "ready", zone: null };
  const { uid, name } = environment.disk;
  const disk = await findDisk(ctx, environment.owner, uid);
  if (!disk) return { kind: "lost", reason: `Disk '${name}' does not exist any more` };
  const holder = { uid: environment.uid, key: keyText(keyOf(environment)), id: environment.id };
  const lease = await acquire(ctx, disk, holder);
  if (lease === "changed") throw new Conflict(`disk ${uid}`);
  if (lease.kind === "gone") return { kind: "lost", reason: `Disk '${name}' is marked for deletion` };
  if (lease.kind === "inUse") return { kind: "lost", reason: `Disk '${name}' is in use by ${lease.by}` };
  const held = lease.kind === "takes" ? lease.disk : disk;
  if (held.heldBy?.uid !== environment.uid || hasPendingSnapshot(held)) return { kind: "waits" };
  return { kind: "ready", zone: held.volume?.zone ?? null };
}

/**
 * The disk with its volume, which is made where there is none any more: from the latest snapshot, else empty. Undefined when the
 * disk is not this environment's. Throws `Conflict` when somebody else wrote it meanwhile.
 */
export async function openDisk(
  ctx: WorkerContext,
  environment: Environment,
  zone: string,
): Promise<{ disk: Disk; restored: DiskSnapshot | undefined } | undefined> {
  const disk = environment.disk ? await findDisk(ctx, environment.owner, environment.disk.uid) : undefined;
  if (disk?.heldBy?.uid !== environment.uid) return undefined;
  if (disk.volume && (await ctx.volumes.findVolume(disk.volume.id))) return { disk, restored: undefined };
  const restored = disk.snapshots.findLast((snapshot) => snapshot.completed);
  const made = disk.volumesMade + 1;
  const volume = await ctx.volumes.createVolume({
    token: `${disk.uid}-${made}`,
    sizeGb: disk.sizeGb,
    zone,
    snapshotId: restored?.id,
  });
  const opened = await writeRecord(ctx, { ...disk, volume, volumesMade: made });
  if (!opened) throw new Conflict(`disk ${disk.uid}`);
  return { disk: opened, restored };
}

/** Gives the lease back, with the snapshot that the end left, in one write; nothing happens when it is not held. */
export async function releaseDisk(
  ctx: Context<"table">,
  environment: Environment,
  snapshot: DiskSnapshot | undefined,
): Promise<void> {
  const disk = environment.disk ? await findDisk(ctx, environment.owner, environment.disk.uid) : undefined;
  if (!disk) return;
  const isNext = disk.next?.uid === environment.uid;
  if (disk.heldBy?.uid !== environment.uid && !isNext) return;
  const now = ctx.clock.now();
  const known = snapshot === undefined || disk.snapshots.some(({ id }) => id === snapshot.id);
  const snapshots = known ? disk.snapshots : [...disk.snapshots, snapshot];
  const lost = snapshot ? undefined : disk.lost;
  const released: Disk = { ...(isNext ? { ...disk, next: null } : handOver(disk)), snapshots, lost, dueAt: now };
  const used = await writeRecord(ctx, { ...released, lastUsedAt: now });
  if (!used) throw new Conflict(`disk ${disk.uid}`);
}
