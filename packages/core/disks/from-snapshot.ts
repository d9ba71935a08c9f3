import type { Context, UserContext } from "../context.ts";
import type { ChosenIds } from "../idempotency.ts";
import { Problem } from "../problem.ts";
import { unlessUnreadable } from "../readable.ts";
import { changeRecord } from "../write-record.ts";
import { createDisk } from "./create.ts";
import type { Operation } from "./operations.ts";
import { type Disk, type DiskSource, findDisk, type Restore } from "./record.ts";
import { getDisk } from "./view.ts";

/** A bound for the record. */
const MOST_RESTORES = 10;
/** A request that died between the two records has done so long before. */
const BEGUN_MS = 15 * 60_000;

export interface Restoring {
  readonly operation: Operation;
  readonly source: DiskSource;
}

/**
 * Makes a new disk that begins with a completed backup of another one; that stays as it is. The snapshot is named by
 * the other disk first, so that it stays until the new one has its volume, in the zone of its first job. Repeated with
 * the same ids it makes the same disk. Throws `notFound` or `conflict`.
 */
export async function restoreDisk(
  ctx: UserContext<"table" | "queue">,
  name: string,
  { snapshotId, newName }: { readonly snapshotId: string; readonly newName: string },
  ids: ChosenIds,
): Promise<Restoring> {
  const { read, record } = await changeRecord(ctx, {
    read: () => getDisk(ctx, name),
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

function sourceOf({ snapshots }: Disk, name: string, id: string): DiskSource {
  const snapshot = snapshots.find((one) => one.id === id);
  if (!snapshot) throw new Problem("notFound", `Snapshot '${id}' not found for disk '${name}'`);
  const { completed, missedAt, unremoved, at } = snapshot;
  if (!completed) throw new Problem("conflict", `Snapshot '${id}' is not completed`);
  if (missedAt !== undefined) throw new Problem("conflict", `Snapshot '${id}' is not to be seen`);
  if (unremoved) throw new Problem("conflict", `Snapshot '${id}' is being removed`);
  return { id, at };
}

/** Undefined: it is named already. */
function withRestore(disk: Disk, restore: Restore): Disk | undefined {
  const { restores = [] } = disk;
  if (restores.some((one) => one.disk === restore.disk)) return undefined;
  if (restores.length >= MOST_RESTORES) {
    throw new Problem("conflict", `${MOST_RESTORES} disks that are restored from this one have not been used yet`);
  }
  return { ...disk, restores: [...restores, restore] };
}

/** The disk without those restores whose disk has its volume, or will never want one. */
export async function settleRestores(ctx: Context<"table">, disk: Disk, now: number): Promise<Disk> {
  const { owner, restores = [] } = disk;
  if (restores.length === 0) return disk;
  const wanted = await Promise.all(restores.map((one) => isWanted(ctx, owner, one, now)));
  const left = restores.filter((_, at) => wanted[at]);
  return { ...disk, restores: left.length > 0 ? left : undefined };
}

/** What cannot be read may want it. */
async function isWanted(ctx: Context<"table">, owner: string, { disk, at }: Restore, now: number): Promise<boolean> {
  const found = await unlessUnreadable(ctx, async () => (await findDisk(ctx, owner, disk)) ?? "missing");
  if (found === undefined) return true;
  if (found === "missing") return now - at < BEGUN_MS;
  return found.volume === null && found.phase !== "purging" && found.phase !== "purged";
}
