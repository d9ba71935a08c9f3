import type { Context, UserContext } from "../context.ts";
import type { ChosenIds } from "../idempotency.ts";
import { Problem } from "../problem.ts";
import { unlessUnreadable } from "../readable.ts";
import { changeRecord } from "../write-record.ts";
import { createDisk } from "./create.ts";
import { nameOf, readDirectory } from "./directory.ts";
import type { Operation } from "./operations.ts";
import { type Disk, type DiskSnapshot, type DiskSource, findDisk, GONE_MS, type Restore } from "./record.ts";
import { getDisk } from "./view.ts";

/** Bounds the size of the disk's record. */
const MOST_RESTORES = 10;
/** After this, a restore without its new disk, or with one that has no name, is abandoned: its request died on the way. */
const ABANDONED_MS = 15 * 60_000;

export interface Restoring {
  readonly operation: Operation;
  readonly source: DiskSource;
}

/**
 * Makes a new disk from a completed backup of another disk. The other disk's record notes the restore first, so that the
 * snapshot is kept until the new disk has a backup of its own: a volume that was asked for may never be made. Repeated
 * with the same ids it makes the same disk. Throws `notFound` or `conflict`.
 */
export async function restoreDisk(
  ctx: UserContext<"table" | "queue">,
  name: string,
  { snapshotId, newName }: { readonly snapshotId: string; readonly newName: string },
  ids: ChosenIds,
): Promise<Restoring> {
  const { read, record } = await changeRecord(ctx, {
    read: () => readSettled(ctx, name),
    decide: ({ disk }): Disk | undefined => {
      sourceOf(disk, name, snapshotId);
      return withRestore(disk, { snapshot: snapshotId, disk: ids.uid, at: ctx.clock.now() });
    },
    what: `Disk '${name}' is`,
  });
  const disk = record ?? read.disk;
  const source = sourceOf(disk, name, snapshotId);
  return { operation: await createDisk(ctx, { name: newName, sizeGb: disk.sizeGb, source }, ids), source };
}

/** Without the restores that are over: the source's own looks find that only once a day. */
async function readSettled(ctx: UserContext<"table">, name: string): Promise<{ readonly disk: Disk }> {
  const { disk } = await getDisk(ctx, name);
  return { disk: await settleRestores(ctx, disk, ctx.clock.now()) };
}

function sourceOf({ snapshots }: Disk, name: string, id: string): DiskSource {
  const snapshot = snapshots.find((one) => one.id === id);
  if (!snapshot) throw new Problem("notFound", `Snapshot '${id}' not found for disk '${name}'`);
  const { completed, missedAt, unremoved, removingUntil, at } = snapshot;
  if (!completed) throw new Problem("conflict", `Snapshot '${id}' is not completed`);
  if (missedAt !== undefined) throw new Problem("conflict", `Snapshot '${id}' is not to be seen`);
  if (unremoved || removingUntil !== undefined) throw new Problem("conflict", `Snapshot '${id}' is being removed`);
  return { id, at };
}

/** undefined: the restore is noted already, and not about to be abandoned while this request names its disk. */
function withRestore(disk: Disk, restore: Restore): Disk | undefined {
  const { restores: noted = [] } = disk;
  const restores = noted.filter((one) => one.disk !== restore.disk);
  const known = noted.find((one) => one.disk === restore.disk);
  if (known && restore.at - known.at < ABANDONED_MS / 2) return undefined;
  if (restores.length >= MOST_RESTORES) {
    throw new Problem(
      "conflict",
      `${MOST_RESTORES} disks that were restored from this one have no backup of their own yet`,
    );
  }
  return { ...disk, restores: [...restores, restore] };
}

/** Drops the restores whose snapshot is gone, and those whose new disk has a backup of its own or will never need one. */
export async function settleRestores(ctx: Context<"table">, disk: Disk, now: number): Promise<Disk> {
  const { owner, restores = [], snapshots } = disk;
  if (restores.length === 0) return disk;
  const isThere = ({ snapshot }: Restore) => snapshots.some((one) => one.id === snapshot && !isGone(one, now));
  const wanted = await Promise.all(restores.map(async (one) => isThere(one) && (await isWanted(ctx, owner, one, now))));
  const left = restores.filter((_, index) => wanted[index]);
  return { ...disk, restores: left.length > 0 ? left : undefined };
}

function isGone({ missedAt }: DiskSnapshot, now: number): boolean {
  return missedAt !== undefined && now - missedAt >= GONE_MS;
}

/** Whether the new disk may still need the snapshot; one that cannot be read may. */
async function isWanted(ctx: Context<"table">, owner: string, { disk, at }: Restore, now: number): Promise<boolean> {
  const found = await unlessUnreadable(ctx, async () => (await findDisk(ctx, owner, disk)) ?? "missing");
  if (found === undefined) return true;
  const isAbandoned = now - at >= ABANDONED_MS;
  if (found === "missing") return !isAbandoned;
  if (found.snapshots.some(({ completed }) => completed)) return false;
  // It has looked for the snapshot, and says that it is gone.
  if (found.lostAt !== undefined && found.volume === null) return false;
  if (found.phase === "purging" || found.phase === "purged") return false;
  return !isAbandoned || (await isNamed(ctx, found));
}

/** Nobody can have a disk whose name was never written. */
async function isNamed(ctx: Context<"table">, { owner, uid }: Disk): Promise<boolean> {
  const directory = await unlessUnreadable(ctx, () => readDirectory(ctx, owner));
  return !directory || nameOf(directory, uid) !== undefined;
}
