import type { Context } from "../context.ts";
import type { Item, Key, Stored } from "../ports/table.ts";
import { receiverKey } from "../store/keys.ts";
import { unlessUnreadable } from "../store/readable.ts";
import { count, number, orNull } from "../store/shape.ts";
import { createParser } from "../store/unreadable.ts";
import { changeRecord, writeRecord } from "../store/write-record.ts";

/** Circuit breaker state of one receiver of one owner. The item exists only after failures. */
interface ReceiverState extends Stored {
  readonly kind: "receiver";
  /** Failures since the last answer; a slow failure counts several times. */
  readonly failures: number;
  /** No post before this time, ms. */
  readonly openUntil: number | null;
  readonly probes: number;
  readonly ttl: number;
}

/** Whether to post now: `probe` for the one post that tests whether the receiver answers again. */
type Verdict = { readonly may: "dial" | "probe" } | Wait;
type Wait = { readonly may: "wait"; readonly until: number };

type CircuitCheck = { readonly may: "dial" } | Wait | { readonly may: "probe"; claim(): Promise<Verdict> };

const MOST_FAILURES = 20;
/** A slow failure keeps a worker busy, so it counts more. */
const SLOW_MS = 5_000;
const SLOW_COUNTS = 5;
const OPEN_MS = 120_000;
const LONGEST_OPEN_MS = 600_000;
/** Longer than an attempt takes on any clock (deliver.ts). */
const PROBE_MS = 45_000;
const KEPT_SECONDS = 7 * 24 * 3600;

export function receiverStateKey({ ids }: Context, owner: string, url: string): Key {
  return receiverKey(owner, ids.hash(new URL(url).origin));
}

/** Reports whether the receiver may be called. After the open time, only the caller that claims the probe may post. */
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

export async function tellAnswered(ctx: Context<"table">, key: Key, now: number): Promise<void> {
  const state = await readState(ctx, key);
  if (!state || state === "unreadable" || state.failures === 0) return;
  const calm = { failures: 0, openUntil: null, probes: 0 };
  await writeRecord(ctx, { ...state, ...kept(now), ...calm });
}

/** Records a failed post. Twenty in a row open the circuit, for longer with every failed probe. */
export async function tellFailed(
  ctx: Context<"table">,
  key: Key,
  { tookMs, wasProbe }: { readonly tookMs: number; readonly wasProbe: boolean },
  now: number,
): Promise<void> {
  const decide = (state: ReceiverState | "unreadable" | undefined): ReceiverState | undefined => {
    if (state === "unreadable") return undefined;
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

/** Returns `unreadable` for a bad record: it stays until its TTL, and until then the receiver is called when due. */
async function readState(ctx: Context<"table">, key: Key): Promise<ReceiverState | "unreadable" | undefined> {
  const item = await ctx.table.get(key);
  return item && ((await unlessUnreadable(ctx, async () => parseState(item))) ?? "unreadable");
}

const parseState: (item: Item) => ReceiverState = createParser("receiver", {
  failures: count,
  openUntil: orNull(number),
  probes: count,
  ttl: number,
});

function kept(now: number): Pick<ReceiverState, "ttl"> {
  return { ttl: Math.floor(now / 1000) + KEPT_SECONDS };
}
