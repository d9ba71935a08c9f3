import type { Context, UserContext } from "../../context.ts";
import { Problem } from "../../problem.ts";
import type { ChosenIds } from "../../store/idempotency.ts";
import { unlessUnreadable } from "../../store/readable.ts";
import { changeRecord } from "../../store/write-record.ts";
import { createDisk } from "../create.ts";
import { findDiskName, readDirectory } from "../names/directory.ts";
import type { Operation } from "../operations.ts";
import { type Disk, type DiskSource, findDisk, type Restore } from "../record.ts";
import { getDisk } from "../view.ts";
import { sourceKeptUntil } from "./source.ts";

const MOST_RESTORES = 10;
/** Counts finished restores too, because the limit bounds the size of the disk's record. */
const MOST_NOTED = 40;
/** A restore without a new disk, or with an unnamed one, is abandoned after this time: its request died. */
const ABANDONED_MS = 15 * 60_000;

export interface Restoring {
  readonly operation: Operation;
  readonly source: DiskSource;
}

/**
 * Creates a disk from another disk's backup. The record notes the restore first, which keeps the snapshot until the
 * new disk has its own backup. Idempotent for the same ids. Throws `notFound` or `conflict`.
 */
export async function restoreDisk(
  ctx: UserContext<"table" | "queue">,
  name: string,
  { snapshotId, newName }: { readonly snapshotId: string; readonly newName: string },
  ids: ChosenIds,
): Promise<Restoring> {
  const { read: settled, record } = await changeRecord(ctx, {
    read: () => readSettled(ctx, name),
    decide: ({ disk, idle }): Disk | undefined => {
      if (disk.uid === ids.uid) return undefined;
      getSource(disk, name, snapshotId);
      return withRestore(disk, { snapshot: snapshotId, disk: ids.uid, at: ctx.clock.now() }, idle);
    },
    what: `Disk '${name}' is`,
  });
  const disk = record ?? settled.disk;
  // In a repeat, the name may already lead to the new disk, to which the other disk gave it up.
  const source = (disk.uid === ids.uid ? disk.source : undefined) ?? getSource(disk, name, snapshotId);
  return { operation: await createDisk(ctx, { name: newName, sizeGb: disk.sizeGb, source }, ids), source };
}

interface Settled {
  readonly disk: Disk;
  readonly idle: ReadonlySet<string>;
}

/** Returns the disk with its finished restores settled, since its own reconciles do that only once a day. */
async function readSettled(ctx: UserContext<"table">, name: string): Promise<Settled> {
  const { disk } = await getDisk(ctx, name);
  return findSettled(ctx, disk, ctx.clock.now());
}

function getSource({ snapshots }: Disk, name: string, id: string): DiskSource {
  const snapshot = snapshots.find((snapshot) => snapshot.id === id);
  if (!snapshot) throw new Problem("notFound", `Snapshot '${id}' not found for disk '${name}'`);
  const { completed, missedAt, unremoved, removingUntil, at } = snapshot;
  if (!completed) throw new Problem("conflict", `Snapshot '${id}' is not completed`);
  if (missedAt !== undefined) throw new Problem("conflict", `Snapshot '${id}' is missing`);
  if (unremoved || removingUntil !== undefined) throw new Problem("conflict", `Snapshot '${id}' is being removed`);
  return { id, at };
}

/** Notes the restore; undefined if it is already noted and recent. */
function withRestore(disk: Disk, restore: Restore, idle: ReadonlySet<string>): Disk | undefined {
  const { restores: noted = [] } = disk;
  const restores = noted.filter((note) => note.disk !== restore.disk);
  const knownRestore = noted.find((note) => note.disk === restore.disk);
  if (knownRestore && restore.at - knownRestore.at < ABANDONED_MS / 2) return undefined;
  if (restores.length >= MOST_NOTED) throw tooMany(MOST_NOTED);
  if (restores.filter((restore) => !idle.has(restore.disk)).length >= MOST_RESTORES) throw tooMany(MOST_RESTORES);
  return { ...disk, restores: [...restores, restore] };
}

function tooMany(most: number): Problem {
  const text = `${most} disks that were restored from this one have no backup of their own yet`;
  return new Problem("conflict", text, { errorCode: "limit" });
}

/** Drops the restores that no longer need their snapshot. A missing snapshot ends none: it may appear again. */
export async function settleRestores(ctx: Context<"table">, disk: Disk, now: number): Promise<Disk> {
  return (await findSettled(ctx, disk, now)).disk;
}

async function findSettled(ctx: Context<"table">, disk: Disk, now: number): Promise<Settled> {
  const { owner, restores = [], snapshots } = disk;
  if (restores.length === 0) return { disk, idle: new Set() };
  const isNamed = ({ snapshot }: Restore) => snapshots.some(({ id }) => id === snapshot);
  const checked = await Promise.all(
    restores.filter(isNamed).map(async (restore) => {
      const found = await findNewDisk(ctx, owner, restore);
      return { restore, found, isNeeded: await mayNeedSnapshot(ctx, found, restore, now) };
    }),
  );
  const left = checked.filter(({ isNeeded }) => isNeeded);
  const idle = left.filter(({ found }) => hasNothingToMake(found)).map(({ restore }) => restore.disk);
  const needed = left.map(({ restore }) => restore);
  return { disk: { ...disk, restores: needed.length > 0 ? needed : undefined }, idle: new Set(idle) };
}

type NewDisk = Disk | "missing" | "unreadable";

async function findNewDisk(ctx: Context<"table">, owner: string, { disk }: Restore): Promise<NewDisk> {
  return (await unlessUnreadable(ctx, async () => (await findDisk(ctx, owner, disk)) ?? "missing")) ?? "unreadable";
}

/** Reports whether the new disk is deleted, or lost with its snapshot: it must not block other restores for weeks. */
function hasNothingToMake(found: NewDisk): boolean {
  if (found === "missing" || found === "unreadable") return false;
  return found.phase === "deleted" || (found.lostAt !== undefined && found.source?.missedAt !== undefined);
}

async function mayNeedSnapshot(ctx: Context<"table">, found: NewDisk, { at }: Restore, now: number): Promise<boolean> {
  if (found === "unreadable") return true;
  const isAbandoned = now - at >= ABANDONED_MS;
  if (found === "missing") return !isAbandoned;
  if (found.snapshots.some(({ completed }) => completed)) return false;
  if (isLostForLong(found, now)) return false;
  if (found.phase === "purging" || found.phase === "purged") return false;
  return !isAbandoned || (await hasName(ctx, found));
}

/** Reports whether the first volume is lost with its data, and the owner had time to start again. */
function isLostForLong(disk: Disk, now: number): boolean {
  const until = sourceKeptUntil(disk);
  return until !== undefined && now >= until;
}

/** Reports whether the new disk has a name. Without one, no owner can ever use it. */
async function hasName(ctx: Context<"table">, { owner, uid }: Disk): Promise<boolean> {
  const directory = await unlessUnreadable(ctx, () => readDirectory(ctx, owner));
  return !directory || findDiskName(directory, uid) !== undefined;
}
