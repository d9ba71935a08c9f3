import type { Context, UserContext } from "../context.ts";
import type { ChosenIds } from "../idempotency.ts";
import { Problem } from "../problem.ts";
import { unlessUnreadable } from "../readable.ts";
import { changeRecord } from "../write-record.ts";
import { createDisk } from "./create.ts";
import type { Operation } from "./operations.ts";
import { type Disk, type DiskSource, findDisk, type Restore } from "./record.ts";
import { getDisk } from "./view.ts";

/** Bounds the size of the disk's record. */
const MOST_RESTORES = 10;
/** After this, a restore without its new disk is abandoned: its request died between the two writes. */
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

/** undefined: the restore is noted already. */
function withRestore(disk: Disk, restore: Restore): Disk | undefined {
  const { restores = [] } = disk;
  if (restores.some((one) => one.disk === restore.disk)) return undefined;
  if (restores.length >= MOST_RESTORES) {
    throw new Problem(
      "conflict",
      `${MOST_RESTORES} disks that were restored from this one have no backup of their own yet`,
    );
  }
  return { ...disk, restores: [...restores, restore] };
}

/** Drops the restores whose new disk has a backup of its own, or will never need one. */
export async function settleRestores(ctx: Context<"table">, disk: Disk, now: number): Promise<Disk> {
  const { owner, restores = [] } = disk;
  if (restores.length === 0) return disk;
  const wanted = await Promise.all(restores.map((one) => isWanted(ctx, owner, one, now)));
  const left = restores.filter((_, index) => wanted[index]);
  return { ...disk, restores: left.length > 0 ? left : undefined };
}

/** Whether the new disk may still need the snapshot; one that cannot be read may. */
async function isWanted(ctx: Context<"table">, owner: string, { disk, at }: Restore, now: number): Promise<boolean> {
  const found = await unlessUnreadable(ctx, async () => (await findDisk(ctx, owner, disk)) ?? "missing");
  if (found === undefined) return true;
  if (found === "missing") return now - at < ABANDONED_MS;
  return !found.snapshots.some(({ completed }) => completed) && found.phase !== "purging" && found.phase !== "purged";
}
