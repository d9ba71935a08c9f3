import type { UserContext } from "../context.ts";
import { sendLook } from "../look.ts";
import { Problem } from "../problem.ts";
import { changeRecord } from "../write-record.ts";
import { changeDirectory, without } from "./directory.ts";
import { closeOperation, type Operation, putOperation } from "./operations.ts";
import type { Disk, OperationKind } from "./record.ts";
import { type DiskView, findMissing, getDisk } from "./view.ts";

type RequestContext = UserContext<"table" | "queue">;

/** The name led to no record. */
interface Freed {
  readonly operation: Operation;
  readonly disk: undefined;
}

interface Requested {
  readonly operation: Operation;
  readonly disk: Disk;
}

const DAY_MS = 24 * 3_600_000;

/** Marks a disk for deletion; it can be undeleted until `purgeAt`. Throws `notFound`, `gone` or `conflict`. */
export async function deleteDisk(ctx: RequestContext, name: string): Promise<Freed | Requested> {
  const operation = await freeName(ctx, name);
  return operation ? { operation, disk: undefined } : markDeleted(ctx, name);
}

function markDeleted(ctx: RequestContext, name: string): Promise<Requested> {
  return request(ctx, name, "delete", ({ disk, inUse, holder }) => {
    if (disk.phase === "deleted") throw new Problem("gone", `Disk '${name}' is already marked for deletion`);
    if (inUse) {
      const text = `Cannot delete disk '${name}' - it is currently in use by reservation ${holder}`;
      throw new Problem("conflict", text);
    }
    const now = ctx.clock.now();
    return { ...disk, phase: "deleted", deletedAt: now, purgeAt: now + ctx.settings.diskRetentionDays * DAY_MS };
  });
}

/** A name that leads to no record goes at once: nobody knows what it had. Undefined: it leads to one. */
async function freeName(ctx: RequestContext, name: string): Promise<Operation | undefined> {
  const owner = ctx.actor.uid;
  const uid = await findMissing(ctx, owner, name);
  if (uid === undefined) return undefined;
  const operation = await putOperation(ctx, { uid, owner, name, purgeAt: ctx.clock.now() }, "delete");
  await changeDirectory(ctx, owner, ({ names }) => without(names, uid));
  await closeOperation(ctx, owner, operation.id);
  return operation;
}

/** Takes the mark off again. Throws `notFound`, or `conflict` when it bears none. A purge that has begun is final. */
export async function undeleteDisk(ctx: RequestContext, name: string): Promise<Requested> {
  return request(ctx, name, "undelete", ({ disk }) => {
    if (disk.phase !== "deleted") throw new Problem("conflict", `Disk '${name}' is not marked for deletion`);
    return { ...disk, phase: "available", deletedAt: null, purgeAt: null };
  });
}

/** The disk's own record decides between a delete, a lease, an undelete and a purge. */
async function request(
  ctx: RequestContext,
  name: string,
  action: OperationKind,
  decide: (view: DiskView) => Disk,
): Promise<Requested> {
  let operation: Operation | undefined;
  const { record, read } = await changeRecord(ctx, {
    read: () => getDisk(ctx, name),
    async decide(view): Promise<Disk> {
      const decided = decide(view);
      operation ??= await putOperation(ctx, { ...decided, name }, action);
      const operations = [...decided.operations, { id: operation.id, kind: action }];
      return { ...decided, operations, dueAt: ctx.clock.now() };
    },
    what: `Disk '${name}' is`,
  });
  const disk = record ?? read.disk;
  await sendLook(ctx, disk);
  if (!operation) throw new Error(`No operation was written for disk ${disk.uid}`);
  return { operation, disk };
}
