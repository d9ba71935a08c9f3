import type { Context } from "../context.ts";
import type { Item, Key, Stored } from "../ports/table.ts";
import { receiverKey } from "../store/keys.ts";
import { unlessUnreadable } from "../store/readable.ts";
import { count, number, orNull } from "../store/shape.ts";
import { parserOf } from "../store/unreadable.ts";
import { changeRecord, writeRecord } from "../store/write-record.ts";

/** What is known of one receiver of one owner. There is no such item while it answers. */
interface ReceiverState extends Stored {
  readonly kind: "receiver";
  /** Failures since it last answered; one that took long counts for several. */
  readonly failures: number;
  /** Nothing is dialled there before this, ms. */
  readonly openUntil: number | null;
  /** How often it was tried in vain since then. */
  readonly probes: number;
  /** Seconds since the epoch. */
  readonly ttl: number;
}

/** Whether one may dial: `probe` for the one who is to find out whether it answers again. */
type Verdict = { readonly may: "dial" | "probe" } | Wait;
type Wait = { readonly may: "wait"; readonly until: number };

/** The same before it is settled who that one is. */
type CircuitCheck = { readonly may: "dial" } | Wait | { readonly may: "probe"; claim(): Promise<Verdict> };

const MOST_FAILURES = 20;
/** A receiver that keeps a worker waiting is left alone sooner. */
const SLOW_MS = 5_000;
const SLOW_COUNTS = 5;
/** Doubled with each probe that failed. */
const OPEN_MS = 120_000;
const LONGEST_OPEN_MS = 600_000;
/** Longer than an attempt may take, on any clock (deliver.ts). */
const PROBE_MS = 45_000;
const KEPT_SECONDS = 7 * 24 * 3600;

/** The item of the receiver that this URL belongs to: all that an owner has at one origin. */
export function receiverStateKey({ ids }: Context, owner: string, url: string): Key {
  return receiverKey(owner, ids.hash(new URL(url).origin));
}

/**
 * Once the time of one that fails is over, one caller is let through, the first that claims it, and the others wait for
 * what it finds. Nothing is written before that.
 */
export async function checkCircuit(ctx: Context<"table">, key: Key, now: number): Promise<CircuitCheck> {
  const state = await readState(ctx, key);
  if (!state || state === "unreadable" || state.openUntil === null) return { may: "dial" };
  if (now < state.openUntil) return { may: "wait", until: state.openUntil };
  const openUntil = now + PROBE_MS;
  const claim = async (): Promise<Verdict> => {
    const isOurs = await writeRecord(ctx, { ...state, openUntil });
    return isOurs ? { may: "probe" } : { may: "wait", until: openUntil };
  };
  return { may: "probe", claim };
}

/** It answered: nothing waits any more. Lost to another writer, it is told by the next answer. */
export async function tellAnswered(ctx: Context<"table">, key: Key, now: number): Promise<void> {
  const state = await readState(ctx, key);
  if (!state || state === "unreadable" || state.failures === 0) return;
  const calm = { failures: 0, openUntil: null, probes: 0 };
  await writeRecord(ctx, { ...state, ...kept(now), ...calm });
}

/**
 * It failed after so long: at twenty in a row it is left alone, for longer with every probe that fails. Of those that
 * fail together no more are written than that takes.
 */
export async function tellFailed(
  ctx: Context<"table">,
  key: Key,
  { tookMs, wasProbe }: { readonly tookMs: number; readonly wasProbe: boolean },
  now: number,
): Promise<void> {
  const decide = (state: ReceiverState | "unreadable" | undefined): ReceiverState | undefined => {
    if (state === "unreadable") return undefined;
    // Begun before it was left alone: that is known already.
    if (state && state.openUntil !== null && !wasProbe) return undefined;
    const failures = (state?.failures ?? 0) + (tookMs >= SLOW_MS ? SLOW_COUNTS : 1);
    const probes = (state?.probes ?? 0) + (wasProbe ? 1 : 0);
    const openUntil = failures >= MOST_FAILURES ? now + Math.min(OPEN_MS * 2 ** probes, LONGEST_OPEN_MS) : null;
    const writers = state?.writers ?? [];
    return { ...state, ...key, ...kept(now), writers, kind: "receiver", failures, openUntil, probes };
  };
  const tries = 2 * MOST_FAILURES;
  await changeRecord(ctx, { read: () => readState(ctx, key), decide, what: "The receiver's state is", tries });
}

/** What cannot be read stays until its own time is over; until then that receiver is dialled whenever it is due. */
async function readState(ctx: Context<"table">, key: Key): Promise<ReceiverState | "unreadable" | undefined> {
  const item = await ctx.table.get(key);
  return item && ((await unlessUnreadable(ctx, async () => parseState(item))) ?? "unreadable");
}

const parseState: (item: Item) => ReceiverState = parserOf("receiver", {
  failures: count,
  openUntil: orNull(number),
  probes: count,
  ttl: number,
});

function kept(now: number): Pick<ReceiverState, "ttl"> {
  return { ttl: Math.floor(now / 1000) + KEPT_SECONDS };
}
