import type { Context, UserContext } from "../../context.ts";
import { Problem } from "../../problem.ts";
import type { ChosenIds } from "../../store/idempotency.ts";
import { unlessUnreadable } from "../../store/readable.ts";
import { changeRecord } from "../../store/write-record.ts";
import { createDisk } from "../create.ts";
import { nameOf, readDirectory } from "../names/directory.ts";
import type { Operation } from "../operations.ts";
import { type Disk, type DiskSource, findDisk, type Restore } from "../record.ts";
import { getDisk } from "../view.ts";
import { sourceKeptUntil } from "./source.ts";

const MOST_RESTORES = 10;
/** Counts restores that came to nothing too: this bounds the size of the disk's record. */
const MOST_NOTED = 40;
/** A restore that has no new disk after this, or one without a name, is abandoned: its request died on the way. */
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
    decide: ({ disk, idle }): Disk | undefined => {
      if (disk.uid === ids.uid) return undefined;
      sourceOf(disk, name, snapshotId);
      return withRestore(disk, { snapshot: snapshotId, disk: ids.uid, at: ctx.clock.now() }, idle);
    },
    what: `Disk '${name}' is`,
  });
  const disk = record ?? read.disk;
  // A repeat finds the disk that it made under the name that the other disk has given up to it.
  const source = (disk.uid === ids.uid ? disk.source : undefined) ?? sourceOf(disk, name, snapshotId);
  return { operation: await createDisk(ctx, { name: newName, sizeGb: disk.sizeGb, source }, ids), source };
}

interface Settled {
  /** Without the restores that are over. */
  readonly disk: Disk;
  /** The uids of the new disks that have nothing to make for now. */
  readonly idle: ReadonlySet<string>;
}

/** The disk as a restore needs it: its own looks find only once a day which restores are over. */
async function readSettled(ctx: UserContext<"table">, name: string): Promise<Settled> {
  const { disk } = await getDisk(ctx, name);
  return findSettled(ctx, disk, ctx.clock.now());
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

/**
 * The disk with this restore noted; undefined: it is noted already, and not about to be abandoned while this request
 * names its disk.
 */
function withRestore(disk: Disk, restore: Restore, idle: ReadonlySet<string>): Disk | undefined {
  const { restores: noted = [] } = disk;
  const restores = noted.filter((one) => one.disk !== restore.disk);
  const known = noted.find((one) => one.disk === restore.disk);
  if (known && restore.at - known.at < ABANDONED_MS / 2) return undefined;
  if (restores.length >= MOST_NOTED) throw tooMany(MOST_NOTED);
  if (restores.filter((one) => !idle.has(one.disk)).length >= MOST_RESTORES) throw tooMany(MOST_RESTORES);
  return { ...disk, restores: [...restores, restore] };
}

function tooMany(most: number): Problem {
  const text = `${most} disks that were restored from this one have no backup of their own yet`;
  return new Problem("conflict", text, { errorCode: "limit" });
}

/**
 * Drops the restores whose new disk has a backup of its own or will never need one. That their snapshot is not seen ends
 * none of them: it may be seen again, and would be thinned out before its new disk hears of that.
 */
export async function settleRestores(ctx: Context<"table">, disk: Disk, now: number): Promise<Disk> {
  return (await findSettled(ctx, disk, now)).disk;
}

async function findSettled(ctx: Context<"table">, disk: Disk, now: number): Promise<Settled> {
  const { owner, restores = [], snapshots } = disk;
  if (restores.length === 0) return { disk, idle: new Set() };
  const isNamed = ({ snapshot }: Restore) => snapshots.some(({ id }) => id === snapshot);
  const looked = await Promise.all(
    restores.filter(isNamed).map(async (restore) => {
      const found = await findNewDisk(ctx, owner, restore);
      return { restore, found, isNeeded: await mayNeedSnapshot(ctx, found, restore, now) };
    }),
  );
  const left = looked.filter(({ isNeeded }) => isNeeded);
  const idle = left.filter(({ found }) => hasNothingToMake(found)).map(({ restore }) => restore.disk);
  const needed = left.map(({ restore }) => restore);
  return { disk: { ...disk, restores: needed.length > 0 ? needed : undefined }, idle: new Set(idle) };
}

type NewDisk = Disk | "missing" | "unreadable";

async function findNewDisk(ctx: Context<"table">, owner: string, { disk }: Restore): Promise<NewDisk> {
  return (await unlessUnreadable(ctx, async () => (await findDisk(ctx, owner, disk)) ?? "missing")) ?? "unreadable";
}

/**
 * Whether the new disk is deleted, or lost with its snapshot out of sight: that may last for weeks, and blocks no
 * other.
 */
function hasNothingToMake(found: NewDisk): boolean {
  if (found === "missing" || found === "unreadable") return false;
  return found.phase === "deleted" || (found.lostAt !== undefined && found.source?.missedAt !== undefined);
}

/** Whether the new disk may still need the snapshot; one that cannot be read may. */
async function mayNeedSnapshot(ctx: Context<"table">, found: NewDisk, { at }: Restore, now: number): Promise<boolean> {
  if (found === "unreadable") return true;
  const isAbandoned = now - at >= ABANDONED_MS;
  if (found === "missing") return !isAbandoned;
  if (found.snapshots.some(({ completed }) => completed)) return false;
  if (isLostForLong(found, now)) return false;
  if (found.phase === "purging" || found.phase === "purged") return false;
  return !isAbandoned || (await hasName(ctx, found));
}

/** Its first volume is gone with what was written to it, and its owner had time to begin again with the snapshot. */
function isLostForLong(disk: Disk, now: number): boolean {
  const until = sourceKeptUntil(disk);
  return until !== undefined && now >= until;
}

/** Nobody can have a disk whose name was never written. */
async function hasName(ctx: Context<"table">, { owner, uid }: Disk): Promise<boolean> {
  const directory = await unlessUnreadable(ctx, () => readDirectory(ctx, owner));
  return !directory || nameOf(directory, uid) !== undefined;
}
