import type { Context } from "../context.ts";
import type { Item, Stored } from "../ports/table.ts";
import { Conflict, Problem } from "../problem.ts";
import { operationKey } from "../store/keys.ts";
import { unlessUnreadable } from "../store/readable.ts";
import { literal, number, optional, orNull, text, uid } from "../store/shape.ts";
import { createParser } from "../store/unreadable.ts";
import { writeRecord } from "../store/write-record.ts";
import { findDiskUid, readDirectory } from "./names/directory.ts";
import { operationKind } from "./parse.ts";
import type { Disk, OperationKind } from "./record.ts";

export interface Operation extends Stored {
  readonly kind: "operation";
  readonly id: string;
  readonly owner: string;
  readonly disk: string;
  readonly name: string;
  readonly action: OperationKind;
  readonly status: "pending" | "in_progress" | "completed" | "failed";
  readonly error: string | null;
  readonly snapshot?: string | undefined;
  readonly deletesAt: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly ttl: number;
}

const KEPT_SECONDS = 30 * 24 * 3600;

/** Writes the record of a new request if it is missing, so that it can be read once the caller has its answer. */
export async function putOperation(
  ctx: Context<"table">,
  disk: Pick<Disk, "uid" | "owner" | "name" | "purgeAt">,
  action: OperationKind,
  uuid: string = ctx.ids.uuid4(),
): Promise<Operation> {
  const now = ctx.clock.now();
  const id = `op-${uuid}`;
  const operation: Operation = {
    ...operationKey(disk.owner, id),
    writers: [],
    kind: "operation",
    id,
    owner: disk.owner,
    disk: disk.uid,
    name: disk.name,
    action,
    status: "pending",
    error: null,
    deletesAt: action === "delete" ? disk.purgeAt : null,
    createdAt: now,
    updatedAt: now,
    ttl: Math.floor(now / 1000) + KEPT_SECONDS,
  };
  const written = await writeRecord(ctx, operation);
  if (written) return written;
  const knownItem = await ctx.table.get(operationKey(disk.owner, id));
  if (!knownItem) throw new Conflict(`operation ${id}`);
  return parseOperation(knownItem);
}

export async function findOperation(
  ctx: Context<"table">,
  owner: string,
  uuid: string,
): Promise<Operation | undefined> {
  const item = await ctx.table.get(operationKey(owner, `op-${uuid}`));
  return item && parseOperation(item);
}

export function isClosed({ status }: Operation): boolean {
  return status === "completed" || status === "failed";
}

export async function closeOperation(
  ctx: Context<"table">,
  owner: string,
  id: string,
  failure: string | null = null,
  snapshot?: string,
): Promise<void> {
  const item = await ctx.table.get(operationKey(owner, id));
  const operation = item && (await unlessUnreadable(ctx, async () => parseOperation(item)));
  if (!operation || isClosed(operation)) return;
  const status = failure === null ? "completed" : "failed";
  const closed: Operation = {
    ...operation,
    status,
    error: failure,
    ...(snapshot !== undefined && { snapshot }),
    updatedAt: ctx.clock.now(),
  };
  if (!(await writeRecord(ctx, closed))) throw new Conflict(`operation ${id}`);
}

export async function getOperation(ctx: Context<"table">, owner: string, name: string, id: string): Promise<Operation> {
  const item = await ctx.table.get(operationKey(owner, id));
  const knownOperation = item && parseOperation(item);
  const found = knownOperation && knownOperation.ttl * 1000 > ctx.clock.now() ? knownOperation : undefined;
  if (found && found.name === name) return found;
  if (found && findDiskUid(await readDirectory(ctx, owner), name) === found.disk) return found;
  throw new Problem("notFound", `Operation '${id}' not found for disk '${name}'`);
}

const parseOperation: (item: Item) => Operation = createParser("operation", {
  id: text,
  owner: text,
  disk: uid,
  name: text,
  action: operationKind,
  status: literal("pending", "in_progress", "completed", "failed"),
  error: orNull(text),
  snapshot: optional(text),
  deletesAt: orNull(number),
  createdAt: number,
  updatedAt: number,
  ttl: number,
});
