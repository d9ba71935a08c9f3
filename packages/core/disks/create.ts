import type { Context, UserContext } from "../context.ts";
import { sendLook } from "../reconciler/look.ts";
import { dueShardOf } from "../store/due.ts";
import type { ChosenIds } from "../store/idempotency.ts";
import { diskKey } from "../store/keys.ts";
import { writeRecord } from "../store/write-record.ts";
import { changeDirectory, nameOf, uidOf } from "./names/directory.ts";
import { setAside } from "./names/set-aside.ts";
import { type Operation, putOperation } from "./operations.ts";
import { type Disk, type DiskPhase, type DiskSource, findDisk } from "./record.ts";
import { whyTaken } from "./view.ts";

export interface NewDisk {
  readonly name: string;
  readonly sizeGb: number;
  /** Another disk's backup that it begins with; missing: it begins empty. */
  readonly source?: DiskSource;
}

/**
 * Makes a disk: its request and record first, which nobody can see, then its name, in the one write that decides.
 * Repeated with the same ids it makes the same disk. A deleted disk gives its name up and is kept under another one.
 * Throws `conflict` when a living disk has the name.
 */
export async function createDisk(
  ctx: UserContext<"table" | "queue">,
  input: NewDisk,
  ids: ChosenIds = { id: ctx.ids.uuid4(), uid: ctx.ids.uid() },
): Promise<Operation> {
  const disk = newDisk(ctx, ctx.actor.uid, input, ids.uid);
  const operation = await putOperation(ctx, disk, "create", ids.id);
  const asked: Disk = { ...disk, operations: [{ id: operation.id, kind: "create" }] };
  if (!(await nameDisk(ctx, asked, givingUp))) throw await whyTaken(ctx, input.name);
  await sendLook(ctx, disk);
  return operation;
}

/** A disk in one of these phases gives its name up to a new one. */
export const givingUp: readonly DiskPhase[] = ["deleted", "purging"];

/**
 * Makes the disk that comes with an environment; undefined when another disk has the name. A deleted disk keeps its
 * name: the environment would begin with an empty disk without a word.
 */
export async function createDiskFor(ctx: UserContext<"table">, input: NewDisk): Promise<Disk | undefined> {
  const disk: Disk = { ...newDisk(ctx, ctx.actor.uid, input), phase: "available", dueAt: undefined };
  return (await nameDisk(ctx, disk, ["purging"])) ? disk : undefined;
}

const DAY_SECONDS = 24 * 3600;

/** False when the name was taken; the record that nobody can see then goes by itself. */
async function nameDisk(ctx: Context<"table">, disk: Disk, phases: readonly DiskPhase[]): Promise<boolean> {
  const written = (await writeRecord(ctx, disk)) ?? (await findDisk(ctx, disk.owner, disk.uid));
  if (!written || written.phase === "purged") return false;
  if (await addName(ctx, disk)) return true;
  if ((await setAside(ctx, disk, phases)) && (await addName(ctx, disk))) return true;
  // A disk that was named and deleted since may have contents: its purge alone ends it.
  if (written.deletedAt !== null) return false;
  const ttl = Math.floor(ctx.clock.now() / 1000) + DAY_SECONDS;
  await writeRecord<Disk>(ctx, { ...written, phase: "purged", operations: [], dueAt: undefined, ttl });
  return false;
}

/** False when another disk has the name. A repeat finds the disk named, maybe by another name since. */
async function addName(ctx: Context<"table">, { owner, uid, name }: Disk): Promise<boolean> {
  let isTaken = false;
  await changeDirectory(ctx, owner, (directory) => {
    const isNamed = nameOf(directory, uid) !== undefined;
    isTaken = !isNamed && uidOf(directory, name) !== undefined;
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
    dueShard: dueShardOf(ctx.ids, key),
    dueAt: now,
  };
}
