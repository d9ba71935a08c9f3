import type { Context } from "../../context.ts";
import { poolTypes } from "../../fleet.ts";
import type { PoolPart } from "../../ports/compute.ts";
import type { Item, Stored } from "../../ports/table.ts";
import { Problem } from "../../problem.ts";
import { requestReconcile } from "../../reconciler/request-reconcile.ts";
import { admissionKey, poolKey } from "../../store/keys.ts";
import { unlessUnreadable } from "../../store/readable.ts";
import { sameData } from "../../store/same-data.ts";
import { flag, list, mark, number, optional, orNull, shape, text } from "../../store/shape.ts";
import { createParser, Unreadable } from "../../store/unreadable.ts";
import { changeRecord } from "../../store/write-record.ts";
import { isSamePart, isWholeType, type PlannedPart, toPart } from "../capacity/pool-parts.ts";
import { findPool, type Pool } from "../ledger/record.ts";
import type { Closure } from "../plan/plan.ts";

/**
 * The operator's admission setting, the source of truth. Each ledger carries a copy for its pool, so a planner that
 * read the ledger earlier loses its conditional write. The capacity schedule retries copies that failed.
 */
export interface Admission extends Stored {
  readonly kind: "admission";
  readonly paused: boolean;
  /** Sorted pool names. */
  readonly drained: readonly string[];
  /** The operators' notes. Absent in records of earlier versions. `type` is a pool, or null for all pools. */
  readonly closures?: readonly AdmissionClosure[] | undefined;
  /** The drained parts of pools, oldest first. Absent in records of earlier versions. */
  readonly parts?: readonly DrainedPart[] | undefined;
  /**
   * The planned drains, oldest first. One whose time has come counts in the fields above too, see `readAdmission`. They
   * are not among `parts`, because an earlier version would drain them at once.
   */
  readonly planned?: readonly PlannedDrain[] | undefined;
}

/** A part of the pool `type` that an operator drained. */
export interface DrainedPart extends PoolPart, OperatorNote {
  readonly type: string;
  readonly at: number;
  /** Set for a group whose machines its provider ends, see `planGroupEnds`. Otherwise an operator drained it. */
  readonly byProvider?: true | undefined;
}

/** A drain of a part, or of the whole type, from the time `from` on, ms. `at` is when it was planned. */
export interface PlannedDrain extends DrainedPart, PlannedPart {}

export interface OperatorNote {
  readonly by: string;
  readonly reason: string | null;
}

export interface AdmissionClosure extends OperatorNote {
  readonly type: string | null;
  readonly at: number;
}

/**
 * Closes or reopens a pool for new grants, and drops a planned drain of it. No grant is made after it returns. Throws
 * `unavailable`.
 */
export async function drainPool(
  ctx: Context<"table" | "queue">,
  type: string,
  isDrained: boolean,
  note?: OperatorNote,
): Promise<Admission> {
  const admission = await changeAdmission(ctx, (before) => {
    const others = before.drained.filter((drainedType) => drainedType !== type);
    const noted = withClosure(before, type, isDrained, note, ctx.clock.now());
    const planned = before.planned?.filter((plan) => plan.type !== type || !isWholeType(plan));
    return { ...noted, planned, drained: isDrained ? [...others, type].sort() : others };
  });
  await carryAdmission(ctx, type);
  return admission;
}

/** Closes all pools for new grants, or reopens those that are not drained. Throws `unavailable`. */
export async function pauseAdmission(
  ctx: Context<"table" | "queue">,
  isPaused: boolean,
  note?: OperatorNote,
): Promise<Admission> {
  const admission = await changeAdmission(ctx, (before) => ({
    ...withClosure(before, null, isPaused, note, ctx.clock.now()),
    paused: isPaused,
  }));
  await Promise.all(poolTypes.map((pool) => carryAdmission(ctx, pool)));
  return admission;
}

/** Returns the record with the note of the first call that closed a pool. Reopening removes the note. */
function withClosure(
  before: Admission,
  type: string | null,
  isClosed: boolean,
  note: OperatorNote | undefined,
  now: number,
): Admission {
  const { closures = [] } = before;
  const knownClosure = closures.find((closure) => closure.type === type);
  const others = closures.filter((closure) => closure.type !== type);
  const wasClosed = type === null ? before.paused : before.drained.includes(type);
  const made = note && !wasClosed ? { type, at: now, ...note } : knownClosure;
  return { ...before, closures: isClosed && made ? [...others, made] : others };
}

/**
 * Returns the operator's setting. Without a record, all pools are open. A planned drain whose time has come counts as
 * drained since then, so nothing has to run at that moment.
 */
export async function readAdmission(ctx: Context<"table">): Promise<Admission> {
  const item = await ctx.table.get(admissionKey);
  if (!item) return { ...admissionKey, writers: [], kind: "admission", paused: false, drained: [] };
  return withDueDrains(parseAdmission(item), ctx.clock.now());
}

function withDueDrains(admission: Admission, now: number): Admission {
  const due = admission.planned?.filter(({ from }) => from <= now) ?? [];
  return due.reduce(withDueDrain, admission);
}

function withDueDrain(admission: Admission, plan: PlannedDrain): Admission {
  const { type, from: at, by, reason, byProvider } = plan;
  const { drained, parts = [], closures = [] } = admission;
  if (isDrained(admission, type, plan)) return admission;
  if (!isWholeType(plan))
    return { ...admission, parts: [...parts, { type, ...toPart(plan), at, by, reason, byProvider }] };
  return { ...admission, closures: [...closures, { type, at, by, reason }], drained: [...drained, type].sort() };
}

/** Reports whether operators drained this part, or the whole type if it names none. */
export function isDrained({ drained, parts = [] }: Omit<Admission, "planned">, type: string, place: PoolPart): boolean {
  if (isWholeType(place)) return drained.includes(type);
  return parts.some((part) => !part.byProvider && part.type === type && isSamePart(part, place));
}

/** Throws `Unreadable`: a default would reopen pools that the operator closed. */
const note = { at: number, by: text, reason: orNull(text) };
const place = { zone: optional(text), nodeGroup: optional(text), node: optional(text), byProvider: mark };
const part = { type: text, ...place, ...note };
const parseAdmission: (item: Item) => Admission = createParser("admission", {
  paused: flag,
  drained: list(text),
  closures: optional(list(shape<AdmissionClosure>({ type: orNull(text), ...note }))),
  parts: optional(list(shape<DrainedPart>(part))),
  planned: optional(list(shape<PlannedDrain>({ ...part, from: number }))),
});

function findClosure({ paused, drained }: Pick<Admission, "paused" | "drained">, type: string): Closure | null {
  if (drained.includes(type)) return "drained";
  return paused ? "paused" : null;
}

/** Returns the drained parts of this pool as its ledger carries them, or undefined if there are none. */
function findDrained({ parts = [] }: Admission, type: string): Pool["drained"] {
  const drained = parts.filter((part) => part.type === type).map(toPart);
  return drained.length > 0 ? drained : undefined;
}

/** Returns the planned drains of this pool as its ledger carries them, or undefined if there are none. */
function findPlanned({ planned = [] }: Admission, type: string): Pool["plannedDrains"] {
  const ofType = planned
    .filter((plan) => plan.type === type)
    .map((plan) => ({ ...toPart(plan), from: plan.from, ...(plan.byProvider && { byProvider: plan.byProvider }) }));
  return ofType.length > 0 ? ofType : undefined;
}

/** Reports whether the ledger's copy differs from the operator's setting. */
export function differs(admission: Admission, { type, closed, drained, plannedDrains }: Pool): boolean {
  const isSame =
    findClosure(admission, type) === closed &&
    sameData(findDrained(admission, type), drained) &&
    sameData(findPlanned(admission, type), plannedDrains);
  return !isSame;
}

const TRIES = 10;

export async function changeAdmission(
  ctx: Context<"table">,
  decide: (before: Admission) => Admission,
): Promise<Admission> {
  const { record, read: admission } = await changeRecord(ctx, {
    read: () => readAdmission(ctx),
    async decide(before) {
      const { planned, ...next } = decide(before);
      // A drain whose time has come is written as one of the drained parts. A provider's end stays planned: it may move.
      const parts = next.parts?.filter(({ byProvider }) => !byProvider);
      const left = planned?.filter((plan) => plan.byProvider || !isDrained(next, plan.type, plan));
      return { ...next, parts, planned: left };
    },
    what: "Admission is",
    tries: TRIES,
  });
  return record ? withDueDrains(record, ctx.clock.now()) : admission;
}

/** Throws `unavailable` for a ledger of a newer format: newer workers grant from it, and only they can write it. */
async function findKnownPool(ctx: Context<"table">, type: string): Promise<Pool | undefined> {
  try {
    return await findPool(ctx, type);
  } catch (error) {
    if (!(error instanceof Unreadable && error.isNewer)) throw error;
    const text = `The ledger of pool ${type} has a newer version; try again`;
    throw new Problem("unavailable", text, { retryAfterSeconds: 60 });
  }
}

/**
 * Copies the admission setting into the pool's ledger. It reads the ledger before the setting, so an older setting
 * never overwrites a newer one. It writes even an unchanged copy, so that a concurrent writer with an older setting
 * conflicts.
 */
export async function carryAdmission(ctx: Context<"table" | "queue">, type: string): Promise<void> {
  const { record } = await changeRecord(ctx, {
    // An unreadable ledger grants nothing anyway.
    read: () => unlessUnreadable(ctx, () => findKnownPool(ctx, type)),
    async decide(pool): Promise<Pool | undefined> {
      if (!pool) return undefined;
      const admission = await readAdmission(ctx);
      const closed = findClosure(admission, type);
      const drained = findDrained(admission, type);
      const plannedDrains = findPlanned(admission, type);
      const now = ctx.clock.now();
      return { ...pool, closed, drained, plannedDrains, ...(pool.closed && !closed && { openedAt: now }), dueAt: now };
    },
    what: "Admission is",
    tries: TRIES,
  });
  if (record) await requestReconcile(ctx, poolKey(type));
}
