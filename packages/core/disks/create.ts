import type { Context, UserContext } from "../context.ts";
import { requestReconcile } from "../reconciler/request-reconcile.ts";
import { getDueShard } from "../store/due.ts";
import type { ChosenIds } from "../store/idempotency.ts";
import { diskKey } from "../store/keys.ts";
import { writeRecord } from "../store/write-record.ts";
import { changeDirectory, findDiskName, findDiskUid } from "./names/directory.ts";
import { setAside } from "./names/set-aside.ts";
import { type Operation, putOperation } from "./operations.ts";
import { type Disk, type DiskPhase, type DiskSource, findDisk } from "./record.ts";
import { whyTaken } from "./view.ts";

export interface NewDisk {
  readonly name: string;
  readonly sizeGb: number;
  readonly source?: DiskSource;
}

/**
 * Writes request and record, then the name, which decides. Idempotent for the same ids. A deleted disk gives up the
 * name. Throws `conflict` if a live disk has it.
 */
export async function createDisk(
  ctx: UserContext<"table" | "queue">,
  input: NewDisk,
  ids: ChosenIds = { id: ctx.ids.uuid4(), uid: ctx.ids.uid() },
): Promise<Operation> {
  const disk = newDisk(ctx, ctx.actor.uid, input, ids.uid);
  const operation = await putOperation(ctx, disk, "create", ids.id);
  const requested: Disk = { ...disk, operations: [{ id: operation.id, kind: "create" }] };
  if (!(await nameDisk(ctx, requested, givingUp))) throw await whyTaken(ctx, input.name);
  await requestReconcile(ctx, disk);
  return operation;
}

export const givingUp: readonly DiskPhase[] = ["deleted", "purging"];

/** Returns undefined if another disk has the name, even a deleted one: the environment would silently start empty. */
export async function createDiskFor(ctx: UserContext<"table">, input: NewDisk): Promise<Disk | undefined> {
  const disk: Disk = { ...newDisk(ctx, ctx.actor.uid, input), phase: "available", dueAt: undefined };
  return (await nameDisk(ctx, disk, ["purging"])) ? disk : undefined;
}

const DAY_SECONDS = 24 * 3600;

/** Returns false if the name is taken. The record, still invisible, then expires. */
async function nameDisk(ctx: Context<"table">, disk: Disk, phases: readonly DiskPhase[]): Promise<boolean> {
  const written = (await writeRecord(ctx, disk)) ?? (await findDisk(ctx, disk.owner, disk.uid));
  if (!written || written.phase === "purged") return false;
  if (await addName(ctx, disk)) return true;
  if ((await setAside(ctx, disk, phases)) && (await addName(ctx, disk))) return true;
  // The disk may have been named and deleted since. It may hold data, so only its purge may end it.
  if (written.deletedAt !== null) return false;
  const ttl = Math.floor(ctx.clock.now() / 1000) + DAY_SECONDS;
  await writeRecord<Disk>(ctx, { ...written, phase: "purged", operations: [], dueAt: undefined, ttl });
  return false;
}

/** Returns false if another disk has the name. A renamed disk counts as named. */
async function addName(ctx: Context<"table">, { owner, uid, name }: Disk): Promise<boolean> {
  let isTaken = false;
  await changeDirectory(ctx, owner, (directory) => {
    const isNamed = findDiskName(directory, uid) !== undefined;
    isTaken = !isNamed && findDiskUid(directory, name) !== undefined;
    return isNamed || isTaken ? undefined : [...directory.names, [name, uid]];
  });
  return !isTaken;
}

function newDisk(ctx: Context, owner: string, { name, sizeGb, source }: NewDisk, uid = ctx.ids.uid()): Disk {
  const now = ctx.clock.now();
  const key = diskKey(owner, uid);
  return {
    ...key,
    writers: [],
    kind: "disk",
    uid,
    owner,
    name,
    sizeGb,
    phase: "creating",
    volume: null,
    making: [],
    ...(source && { source }),
    snapshots: [],
    heldBy: null,
    next: null,
    createdAt: now,
    lastUsedAt: null,
    deletedAt: null,
    purgeAt: null,
    taggedAs: null,
    operations: [],
    attempts: 0,
    fault: null,
    dueShard: getDueShard(ctx.ids, key),
    dueAt: now,
  };
}
