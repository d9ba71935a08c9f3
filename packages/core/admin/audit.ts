import type { Context, UserContext } from "../context.ts";
import type { Item, Key, Stored } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { auditPartition } from "../store/keys.ts";
import { readable } from "../store/readable.ts";
import { literal, number, optional, ordinal, orNull, text } from "../store/shape.ts";
import { createParser, Unreadable } from "../store/unreadable.ts";
import { changeRecord } from "../store/write-record.ts";
import { monthBefore, utcMonth } from "../text/utc.ts";

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
  "list_deliveries",
  "list_pools",
  "list_users",
] as const;

export type OperatorAction = (typeof operatorActions)[number];

/** Actions that change nothing. Clients repeat them every few seconds. */
const reads: ReadonlySet<OperatorAction> = new Set([
  ...(["list_jobs", "list_orphans", "list_nodes", "show_state"] as const),
  ...(["list_deliveries", "list_pools", "list_users"] as const),
]);

/**
 * An operator's call and its result. Repeated reads share a record: `at` and `requestId` are those of the first call,
 * `result` and `reason` those of the last that finished.
 */
export interface AuditRecord extends Stored {
  readonly kind: "audit";
  readonly at: number;
  readonly operator: string;
  readonly keyPrefix: string;
  readonly action: OperatorAction;
  /** A job, user, pool or node. null if the action concerns everything. */
  readonly target: string | null;
  readonly requestId: string;
  /** `started` remains if the process died before the end. The action may have been done. */
  readonly result: "started" | "done" | "failed";
  readonly reason: string | null;
  /** The number of calls that share the record. Absent in records of earlier versions. */
  readonly count?: number;
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
/** Divides a day, so no window spans two months. */
const WINDOW_MS = 10 * 60_000;
/** Each lost try means that another call was counted, so allow more tries than one operator has open calls. */
const COUNT_TRIES = 100;
const LEAST_PAGE = 50;

/**
 * Runs an operator's action. It writes an audit record first, and does nothing if that fails. Repeated reads within ten
 * minutes share a record. `note` returns the text to record for the result.
 */
export async function audited<Result>(
  ctx: UserContext<"table">,
  deed: Deed,
  act: () => Promise<Result>,
  note: (result: Result) => string | null = () => null,
): Promise<Result> {
  const record = await countCall(ctx, toRecord(ctx, deed));
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

/** Lists the audit records of the last 13 months, newest first. */
export async function listAudit(ctx: Context<"table">, most: number): Promise<AuditRecord[]> {
  const found: AuditRecord[] = [];
  let month = utcMonth(ctx.clock.now());
  for (let months = 0; months < KEPT_MONTHS && found.length < most; months++) {
    await readMonth(ctx, month, most, found);
    month = monthBefore(month);
  }
  return found.sort((left, right) => right.at - left.at).slice(0, most);
}

function toRecord(ctx: UserContext<"table">, { action, target, requestId }: Deed): AuditRecord {
  const at = ctx.clock.now();
  const { username: operator, keyPrefix } = ctx.actor;
  const id = reads.has(action) ? windowId(ctx, at, [ctx.actor.uid, keyPrefix, action, target]) : ctx.ids.uuid7();
  return {
    pk: auditPartition(utcMonth(at)),
    sk: id,
    writers: [],
    kind: "audit",
    at,
    operator,
    keyPrefix,
    action,
    target: target?.slice(0, LONGEST_TEXT) ?? null,
    requestId,
    result: "started",
    reason: null,
    count: 1,
    ttl: Math.floor(at / 1000) + KEPT_SECONDS,
  };
}

/** Returns the same UUID for the same read within a window. It sorts by the start of the window. */
function windowId(ctx: Context, at: number, targets: readonly (string | null)[]): string {
  const time = (at - (at % WINDOW_MS)).toString(16).padStart(12, "0");
  const hash = ctx.ids.hash(JSON.stringify(targets));
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hash.slice(0, 3)}-8${hash.slice(3, 6)}-${hash.slice(6, 18)}`;
}

async function countCall(ctx: UserContext<"table">, call: AuditRecord): Promise<AuditRecord> {
  const { record } = await changeRecord(ctx, {
    read: () => findAudit(ctx, call),
    decide: (found) => (found ? { ...found, count: (found.count ?? 1) + 1 } : call),
    what: "The audit record is",
    tries: COUNT_TRIES,
  });
  return record ?? call;
}

/** Records how a call ended. A failure is only logged, because the call itself is over. */
async function complete(ctx: UserContext<"table">, { result, reason, ...call }: AuditRecord): Promise<void> {
  try {
    await changeRecord(ctx, {
      read: () => findAudit(ctx, call),
      decide: (found) =>
        found && (found.result !== result || found.reason !== reason) ? { ...found, result, reason } : undefined,
      what: "The audit record is",
      tries: COUNT_TRIES,
    });
  } catch (error) {
    ctx.log.error("audit record not completed", { audit: call.sk, result, error: String(error) });
  }
}

async function findAudit(ctx: Context<"table">, { pk, sk }: Key): Promise<AuditRecord | undefined> {
  const item = await ctx.table.get({ pk, sk });
  return item && parseAudit(item);
}

/** Adds records of a month until there are `most`, and all that may be newer than the oldest of these. */
async function readMonth(ctx: Context<"table">, month: string, most: number, into: AuditRecord[]): Promise<void> {
  let after: string | undefined;
  do {
    const query = { pk: auditPartition(month), newestFirst: true, limit: Math.max(most - into.length, LEAST_PAGE) };
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    into.push(...readable(ctx, page.items, parseAudit));
    after = page.next;
  } while (after !== undefined && (into.length < most || isSameWindow(into.at(-1), into[most - 1])));
}

/** Reports whether both are of one window. Ids of shared records sort by the start of their window. */
function isSameWindow(last: AuditRecord | undefined, otherRecord: AuditRecord | undefined): boolean {
  if (!last || !otherRecord) return false;
  return Math.floor(last.at / WINDOW_MS) === Math.floor(otherRecord.at / WINDOW_MS);
}

const parseAudit: (item: Item) => AuditRecord = createParser("audit", {
  at: number,
  operator: text,
  keyPrefix: text,
  action: literal(...operatorActions),
  target: orNull(text),
  requestId: text,
  result: literal("started", "done", "failed"),
  reason: orNull(text),
  count: optional(ordinal),
  ttl: number,
});
