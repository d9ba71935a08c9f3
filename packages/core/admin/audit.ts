import type { Context, UserContext } from "../context.ts";
import type { Item, Key, Stored } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { auditOf } from "../store/keys.ts";
import { readable } from "../store/readable.ts";
import { number, oneOf, optional, ordinal, orNull, text } from "../store/shape.ts";
import { parserOf, Unreadable } from "../store/unreadable.ts";
import { changeRecord } from "../store/write-record.ts";
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

/** Actions that change nothing. Clients repeat them every few seconds. */
const reads: ReadonlySet<OperatorAction> = new Set(["list_jobs", "list_orphans", "list_nodes", "show_state"]);

/**
 * What an operator did: who, with which key, when, what, on what, in which request, and what became of it. Repeated
 * reads share a record: `at` and `requestId` are those of the first, `result` and `reason` of the last that finished.
 */
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
  /** How many calls the record stands for. Absent in records of older versions, which never merged. */
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
/** Each try loses only to another call that was counted, so this is more than the calls that one operator has open. */
const COUNT_TRIES = 100;
const LEAST_PAGE = 50;

/**
 * Does what an operator asks for. It writes a record first, and does nothing if that fails. Repeated reads within ten
 * minutes are counted in one record. `note` says what came of the call.
 */
export async function audited<Result>(
  ctx: UserContext<"table">,
  deed: Deed,
  act: () => Promise<Result>,
  note: (result: Result) => string | null = () => null,
): Promise<Result> {
  const record = await countCall(ctx, recordOf(ctx, deed));
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
  return found.sort((left, right) => right.at - left.at).slice(0, most);
}

function recordOf(ctx: UserContext<"table">, { action, target, requestId }: Deed): AuditRecord {
  const at = ctx.clock.now();
  const { username: operator, keyPrefix } = ctx.actor;
  const id = reads.has(action) ? windowId(ctx, at, [ctx.actor.uid, keyPrefix, action, target]) : ctx.ids.uuid7();
  return {
    pk: auditOf(monthOf(at)),
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

/** Returns the same UUID for the same read of a window. It sorts as if it were made when the window began. */
function windowId(ctx: Context, at: number, read: readonly (string | null)[]): string {
  const time = (at - (at % WINDOW_MS)).toString(16).padStart(12, "0");
  const hash = ctx.ids.hash(JSON.stringify(read));
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hash.slice(0, 3)}-8${hash.slice(3, 6)}-${hash.slice(6, 18)}`;
}

/** Writes the record, or counts one more call in the record that is there. */
async function countCall(ctx: UserContext<"table">, call: AuditRecord): Promise<AuditRecord> {
  const { record } = await changeRecord(ctx, {
    read: () => findAudit(ctx, call),
    decide: (found) => (found ? { ...found, count: (found.count ?? 1) + 1 } : call),
    what: "The audit is",
    tries: COUNT_TRIES,
  });
  return record ?? call;
}

/** Notes how a call ended. A failure is only logged, because the call itself is over. */
async function complete(ctx: UserContext<"table">, { result, reason, ...call }: AuditRecord): Promise<void> {
  try {
    await changeRecord(ctx, {
      read: () => findAudit(ctx, call),
      decide: (found) =>
        found && (found.result !== result || found.reason !== reason) ? { ...found, result, reason } : undefined,
      what: "The audit is",
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

/** Adds entries of a month until there are `most`, and all that may be newer than the oldest of these. */
async function readMonth(ctx: Context<"table">, month: string, most: number, into: AuditRecord[]): Promise<void> {
  let after: string | undefined;
  do {
    const query = { pk: auditOf(month), newestFirst: true, limit: Math.max(most - into.length, LEAST_PAGE) };
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    into.push(...readable(ctx, page.items, parseAudit));
    after = page.next;
  } while (after !== undefined && (into.length < most || isSameWindow(into.at(-1), into[most - 1])));
}

/** Reports whether a shared record, whose id is that of its window's start, may belong before the other one. */
function isSameWindow(last: AuditRecord | undefined, other: AuditRecord | undefined): boolean {
  if (!last || !other) return false;
  return Math.floor(last.at / WINDOW_MS) === Math.floor(other.at / WINDOW_MS);
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
  count: optional(ordinal),
  ttl: number,
});
