import type { UserContext } from "../context.ts";
import { sendLook } from "../look.ts";
import { Problem } from "../problem.ts";
import { changeRecord } from "../write-record.ts";
import { type Operation, putOperation } from "./operations.ts";
import type { Disk, OperationKind } from "./record.ts";
import { type DiskView, getDisk } from "./view.ts";

type RequestContext = UserContext<"table" | "queue">;

const DAY_MS = 24 * 3_600_000;

/** Marks a disk for deletion; it can be undeleted until `purgeAt`. Throws `notFound`, `gone` or `conflict`. */
export async function deleteDisk(ctx: RequestContext, name: string): Promise<{ operation: Operation; disk: Disk }> {
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

/** Takes the mark off again. Throws `notFound`, or `conflict` when it bears none. A purge that has begun is final. */
export async function undeleteDisk(ctx: RequestContext, name: string): Promise<{ operation: Operation; disk: Disk }> {
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
): Promise<{ operation: Operation; disk: Disk }> {
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
