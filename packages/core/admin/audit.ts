import type { Context, UserContext } from "../context.ts";
import { auditOf } from "../keys.ts";
import type { Item, Stored } from "../ports/table.ts";
import { Conflict, Problem } from "../problem.ts";
import { readable } from "../readable.ts";
import { number, oneOf, orNull, text } from "../shape.ts";
import { parserOf, Unreadable } from "../unreadable.ts";
import { writeRecord } from "../write-record.ts";
import { monthBefore, monthOf } from "./month.ts";

export const operatorActions = [
  "list_jobs",
  "cancel_job",
  "disable_user",
  "enable_user",
  "drain_pool",
  "undrain_pool",
  "pause_admission",
  "resume_admission",
  "list_orphans",
  "end_record",
  "declare_node_gone",
  "return_node",
  "list_nodes",
  "show_state",
] as const;

export type OperatorAction = (typeof operatorActions)[number];

/** What an operator did: who, with which key, when, what, on what, in which request, and what became of it. */
export interface AuditRecord extends Stored {
  readonly kind: "audit";
  readonly at: number;
  readonly operator: string;
  readonly keyPrefix: string;
  readonly action: OperatorAction;
  /** A job, a user, a pool, a node; null where it is everything. */
  readonly target: string | null;
  readonly requestId: string;
  /** `started` is the last word of a process that died in between: it may have been done. */
  readonly result: "started" | "done" | "failed";
  readonly reason: string | null;
  readonly ttl: number;
}

export interface Deed {
  readonly action: OperatorAction;
  readonly target: string | null;
  readonly requestId: string;
}

const KEPT_MONTHS = 13;
const KEPT_SECONDS = 400 * 24 * 3600;
const LONGEST_TEXT = 200;

/**
 * Does what an operator asks for, with a record written before, without which nothing is done, and completed after;
 * `note` says what came of it.
 */
export async function audited<Result>(
  ctx: UserContext<"table">,
  deed: Deed,
  act: () => Promise<Result>,
  note: (result: Result) => string | null = () => null,
): Promise<Result> {
  const record = await writeRecord(ctx, recordOf(ctx, deed));
  if (!record) throw new Conflict("audit record");
  try {
    const result = await act();
    await complete(ctx, { ...record, result: "done", reason: note(result)?.slice(0, LONGEST_TEXT) ?? null });
    return result;
  } catch (error) {
    const reason =
      error instanceof Problem || error instanceof Unreadable
        ? error.message.slice(0, LONGEST_TEXT)
        : "Internal failure";
    await complete(ctx, { ...record, result: "failed", reason });
    throw error;
  }
}

/** What operators did, newest first, of the last 13 months. */
export async function listAudit(ctx: Context<"table">, most: number): Promise<AuditRecord[]> {
  const found: AuditRecord[] = [];
  let month = monthOf(ctx.clock.now());
  for (let months = 0; months < KEPT_MONTHS && found.length < most; months++) {
    await readMonth(ctx, month, most, found);
    month = monthBefore(month);
  }
  return found;
}

function recordOf(ctx: UserContext<"table">, { action, target, requestId }: Deed): AuditRecord {
  const at = ctx.clock.now();
  return {
    pk: auditOf(monthOf(at)),
    sk: ctx.ids.uuid7(),
    writers: [],
    kind: "audit",
    at,
    operator: ctx.actor.username,
    keyPrefix: ctx.actor.keyPrefix,
    action,
    target: target?.slice(0, LONGEST_TEXT) ?? null,
    requestId,
    result: "started",
    reason: null,
    ttl: Math.floor(at / 1000) + KEPT_SECONDS,
  };
}

/** It was done or it failed, whatever becomes of this write. */
async function complete(ctx: UserContext<"table">, record: AuditRecord): Promise<void> {
  try {
    await writeRecord(ctx, record);
  } catch (error) {
    ctx.log.error("audit record not completed", { audit: record.sk, result: record.result, error: String(error) });
  }
}

async function readMonth(ctx: Context<"table">, month: string, most: number, into: AuditRecord[]): Promise<void> {
  let after: string | undefined;
  do {
    const query = { pk: auditOf(month), newestFirst: true, limit: most - into.length };
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    into.push(...readable(ctx, page.items, parseAudit));
    after = page.next;
  } while (after !== undefined && into.length < most);
}

const parseAudit: (item: Item) => AuditRecord = parserOf("audit", {
  at: number,
  operator: text,
  keyPrefix: text,
  action: oneOf(...operatorActions),
  target: orNull(text),
  requestId: text,
  result: oneOf("started", "done", "failed"),
  reason: orNull(text),
  ttl: number,
});
