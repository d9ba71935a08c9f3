import type { Context } from "../../context.ts";
import { poolTypes } from "../../fleet.ts";
import type { Item, Stored } from "../../ports/table.ts";
import { Problem } from "../../problem.ts";
import { sendLook } from "../../reconciler/look.ts";
import { admissionKey, poolKey } from "../../store/keys.ts";
import { unlessUnreadable } from "../../store/readable.ts";
import { flag, listOf, number, optional, orNull, shape, text } from "../../store/shape.ts";
import { parserOf, Unreadable } from "../../store/unreadable.ts";
import { changeRecord } from "../../store/write-record.ts";
import { findPool, type Pool } from "../ledger/record.ts";
import type { Closure } from "../plan/plan.ts";

/**
 * What the operator wants of admission: the one item that decides. Each ledger carries what it says for its pool, so
 * that a planner that read the ledger before can write nothing after; the capacity schedule repairs what was left undone.
 */
export interface Admission extends Stored {
  readonly kind: "admission";
  readonly paused: boolean;
  /** Pools, sorted. */
  readonly drained: readonly string[];
  /** Who closed what; missing: an older version wrote the record. `type` is a pool; null stands for all of them. */
  readonly closures?: readonly AdmissionClosure[] | undefined;
}

/** Who did something to a pool or node, and why. */
export interface OperatorNote {
  readonly by: string;
  readonly reason: string | null;
}

export interface AdmissionClosure extends OperatorNote {
  readonly type: string | null;
  readonly at: number;
}

/** Closes a pool for new grants, or opens it; from the answer on nothing new is granted. Throws `unavailable`. */
export async function drainPool(
  ctx: Context<"table" | "queue">,
  type: string,
  isDrained: boolean,
  note?: OperatorNote,
): Promise<Admission> {
  const admission = await change(ctx, (before) => {
    const others = before.drained.filter((one) => one !== type);
    const noted = withClosure(before, type, isDrained, note, ctx.clock.now());
    return { ...noted, drained: isDrained ? [...others, type].sort() : others };
  });
  await carryAdmission(ctx, type);
  return admission;
}

/** Closes every pool for new grants, or opens those that are not drained. Throws `unavailable`. */
export async function pauseAdmission(
  ctx: Context<"table" | "queue">,
  isPaused: boolean,
  note?: OperatorNote,
): Promise<Admission> {
  const admission = await change(ctx, (before) => ({
    ...withClosure(before, null, isPaused, note, ctx.clock.now()),
    paused: isPaused,
  }));
  await Promise.all(poolTypes.map((pool) => carryAdmission(ctx, pool)));
  return admission;
}

/** Returns the record with the note of the first call that closed a pool. It goes when the pool is opened. */
function withClosure(
  before: Admission,
  type: string | null,
  isClosed: boolean,
  note: OperatorNote | undefined,
  now: number,
): Admission {
  const { closures = [] } = before;
  const known = closures.find((closure) => closure.type === type);
  const others = closures.filter((closure) => closure.type !== type);
  const wasClosed = type === null ? before.paused : before.drained.includes(type);
  const made = note && !wasClosed ? { type, at: now, ...note } : known;
  return { ...before, closures: isClosed && made ? [...others, made] : others };
}

/** What the operator wants: pools are open until one says otherwise. */
export async function readAdmission(ctx: Context<"table">): Promise<Admission> {
  const item = await ctx.table.get(admissionKey);
  return item ? parseAdmission(item) : { ...admissionKey, writers: [], kind: "admission", paused: false, drained: [] };
}

/** Throws `Unreadable`: taken for none, it would open what the operator closed. */
const parseAdmission: (item: Item) => Admission = parserOf("admission", {
  paused: flag,
  drained: listOf(text),
  closures: optional(
    listOf(shape<AdmissionClosure>({ type: orNull(text), at: number, by: text, reason: orNull(text) })),
  ),
});

export function closureOf({ paused, drained }: Pick<Admission, "paused" | "drained">, type: string): Closure | null {
  if (drained.includes(type)) return "drained";
  return paused ? "paused" : null;
}

const TRIES = 10;

async function change(ctx: Context<"table">, decide: (before: Admission) => Admission): Promise<Admission> {
  const { record, read } = await changeRecord(ctx, {
    read: () => readAdmission(ctx),
    decide,
    what: "Admission is",
    tries: TRIES,
  });
  return record ?? read;
}

/** Workers of a newer version read a ledger of their format, and go on granting: only they can write this into it. */
async function findKnownPool(ctx: Context<"table">, type: string): Promise<Pool | undefined> {
  try {
    return await findPool(ctx, type);
  } catch (error) {
    if (!(error instanceof Unreadable && error.isNewer)) throw error;
    const text = `The ledger of pool ${type} is of a newer version; try again`;
    throw new Problem("unavailable", text, { retryAfterSeconds: 60 });
  }
}

/**
 * Into the ledger. It is read before what it has to carry, so that a later wish is never overwritten by an older one. It
 * is written also where it carries that already: whoever read it before and has an older wish to write meets a conflict.
 */
export async function carryAdmission(ctx: Context<"table" | "queue">, type: string): Promise<void> {
  const { record } = await changeRecord(ctx, {
    // A ledger that cannot be read grants nothing anyway.
    read: () => unlessUnreadable(ctx, () => findKnownPool(ctx, type)),
    async decide(pool): Promise<Pool | undefined> {
      if (!pool) return undefined;
      const closed = closureOf(await readAdmission(ctx), type);
      const now = ctx.clock.now();
      return { ...pool, closed, ...(pool.closed && !closed && { openedAt: now }), dueAt: now };
    },
    what: "Admission is",
    tries: TRIES,
  });
  if (record) await sendLook(ctx, poolKey(type));
}
