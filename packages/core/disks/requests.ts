import type { UserContext } from "../context.ts";
import { Problem } from "../problem.ts";
import { requestReconcile } from "../reconciler/request-reconcile.ts";
import type { NewResource } from "../store/idempotency.ts";
import { changeRecord } from "../store/write-record.ts";
import { utcText } from "../text/utc.ts";
import { DAY_MS } from "../units.ts";
import { changeDirectory, without } from "./names/directory.ts";
import { findSetAside } from "./names/set-aside.ts";
import { closeOperation, findOperation, isClosed, type Operation, putOperation } from "./operations.ts";
import { type Disk, type OperationKind, withAttemptAnew } from "./record.ts";
import { type DiskView, findMissing, getDisk } from "./view.ts";

type RequestContext = UserContext<"table" | "queue">;

interface Freed {
  readonly operation: Operation;
  readonly disk: undefined;
}

interface Requested {
  readonly operation: Operation;
  readonly disk: Disk;
}

/** The request id; a repeat returns the result of the first request. */
export type OperationRequest = Pick<NewResource, "id" | "isRepeat">;

/** Marks a disk for deletion; it can be undeleted until `purgeAt`. Throws `notFound`, `gone` or `conflict`. */
export async function deleteDisk(
  ctx: RequestContext,
  name: string,
  operationRequest?: OperationRequest,
): Promise<Freed | Requested> {
  const earlierOperation = await findAsked(ctx, operationRequest);
  if (earlierOperation && isClosed(earlierOperation)) return { operation: earlierOperation, disk: undefined };
  const operation = await freeName(ctx, name, operationRequest);
  return operation ? { operation, disk: undefined } : markDeleted(ctx, name, operationRequest);
}

function markDeleted(
  ctx: RequestContext,
  name: string,
  operationRequest: OperationRequest | undefined,
): Promise<Requested> {
  return changeDisk(ctx, { name, action: "delete", asked: operationRequest }, ({ disk, inUse, holder }) => {
    if (disk.phase === "deleted") throw new Problem("gone", `Disk '${name}' is already marked for deletion`);
    if (inUse) {
      const text = `Cannot delete disk '${name}' - it is currently in use by reservation ${holder}`;
      throw new Problem("conflict", text);
    }
    const now = ctx.clock.now();
    return { ...disk, phase: "deleted", deletedAt: now, purgeAt: now + ctx.settings.diskRetentionDays * DAY_MS };
  });
}

/** Frees a name without a record at once, since its disk is unknown. Returns undefined if there is a record. */
async function freeName(
  ctx: RequestContext,
  name: string,
  operationRequest: OperationRequest | undefined,
): Promise<Operation | undefined> {
  const owner = ctx.actor.uid;
  const uid = await findMissing(ctx, owner, name);
  if (uid === undefined) return undefined;
  const operation = await putOperation(
    ctx,
    { uid, owner, name, purgeAt: ctx.clock.now() },
    "delete",
    operationRequest?.id,
  );
  await changeDirectory(ctx, owner, ({ names }) => without(names, uid));
  await closeOperation(ctx, owner, operation.id);
  return operation;
}

/** Undeletes a disk. Throws `notFound`, or `conflict` if it is not deleted. A purge that has begun is final. */
export async function undeleteDisk(
  ctx: RequestContext,
  name: string,
  operationRequest?: OperationRequest,
): Promise<Requested> {
  return changeDisk(ctx, { name, action: "undelete", asked: operationRequest }, async ({ disk }) => {
    if (disk.phase !== "deleted") throw await whyNotDeleted(ctx, name);
    const unmarked = { ...disk, phase: "available", deletedAt: null, purgeAt: null } as const;
    return withAttemptAnew(unmarked, ctx.clock.now());
  });
}

async function whyNotDeleted(ctx: RequestContext, name: string): Promise<Problem> {
  const earlier = await findSetAside(ctx, name);
  const hint =
    earlier && `. An earlier disk of that name is: undelete '${earlier.name}' until ${utcText(earlier.purgeAt)}`;
  return new Problem("conflict", `Disk '${name}' is not marked for deletion${hint ?? ""}`);
}

interface Wanted {
  readonly name: string;
  readonly action: OperationKind;
  readonly asked: OperationRequest | undefined;
}

async function findAsked(
  ctx: RequestContext,
  operationRequest: OperationRequest | undefined,
): Promise<Operation | undefined> {
  return operationRequest?.isRepeat ? findOperation(ctx, ctx.actor.uid, operationRequest.id) : undefined;
}

function names({ operations, snapshotRequest }: Disk, { id }: Operation): boolean {
  return snapshotRequest?.operation === id || operations.some((operation) => operation.id === id);
}

/** Adds the operation. The next reconcile closes a request that is already in effect; a snapshot has yet to be made. */
function withOperation(disk: Disk, { id, action: kind }: Operation, now: number): Disk {
  if (kind !== "snapshot") return { ...disk, operations: [...disk.operations, { id, kind }], dueAt: now };
  return { ...disk, snapshotRequest: { operation: id, at: now, attempt: 0, until: null }, dueAt: now };
}

function refuseOther({ disk, name }: DiskView, operation: Operation | undefined): void {
  if (!operation || operation.disk === disk.uid) return;
  throw new Problem("conflict", `Disk '${name}' is not the disk of the first request`);
}

/** Changes a disk by one conditional write, which decides between delete, lease, undelete, snapshot and purge. */
export async function changeDisk(
  ctx: RequestContext,
  { name, action, asked: operationRequest }: Wanted,
  decide: (view: DiskView) => Disk | Promise<Disk>,
): Promise<Requested> {
  let operation: Operation | undefined;
  const { record, read: diskView } = await changeRecord(ctx, {
    read: () => getDisk(ctx, name),
    async decide(view): Promise<Disk | undefined> {
      // Read after the disk, because a request writes its operation first. The winner may be a closed repeat of this
      // one.
      operation =
        (await findAsked(
          ctx,
          operation && operationRequest ? { ...operationRequest, isRepeat: true } : operationRequest,
        )) ?? operation;
      if (operation && (isClosed(operation) || names(view.disk, operation))) return undefined;
      refuseOther(view, operation);
      const decided = await decide(view);
      operation ??= await putOperation(ctx, { ...decided, name }, action, operationRequest?.id);
      return withOperation(decided, operation, ctx.clock.now());
    },
    what: `Disk '${name}' is`,
  });
  const disk = record ?? diskView.disk;
  await requestReconcile(ctx, disk);
  if (!operation) throw new Error(`No operation was written for disk ${disk.uid}`);
  return { operation, disk };
}
