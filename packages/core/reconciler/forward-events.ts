import type { Context } from "../context.ts";
import type { ChangedNodes } from "../ports/changed-nodes.ts";
import { keyOfText, kindOfKey } from "../store/keys.ts";
import { requestReconcile } from "./request-reconcile.ts";

interface Following {
  readonly signal: AbortSignal;
  /** The version that an earlier follower reached, or null. */
  readonly from: string | null;
  /** Called with each version up to which all changes were passed on. */
  readonly reached: (version: string) => void;
  /** Called when a listing of these nodes may differ. */
  readonly nodesChanged: (nodes: ChangedNodes) => void;
}

/** Sends hints for changes until `signal` aborts, fewer in a flood. Throws the compute's errors. */
export async function forwardEvents(
  ctx: Context<"queue" | "compute">,
  { signal, from, reached, nodesChanged }: Following,
): Promise<void> {
  const findDelay = hintLimit(ctx);
  for await (const change of ctx.compute.changes(signal, from ?? undefined)) {
    if ("upTo" in change) reached(change.upTo);
    else if ("nodesChanged" in change) nodesChanged(change.nodesChanged);
    else await sendHint(ctx, change.key, findDelay);
  }
}

async function sendHint(ctx: Context<"queue">, text: string, findDelay: ReturnType<typeof hintLimit>): Promise<void> {
  const key = keyOfText(text);
  // The key comes from the cluster, so hint only for environments.
  if (!key || kindOfKey(key) !== "environment") return;
  const delayMs = findDelay(text);
  if (delayMs !== undefined) await requestReconcile(ctx, key, { isHint: true, delayMs });
}

/** The burst of signals per record, then one per pause. An ordinary life has about five. */
const MOST_OF_ONE = 10;
const PAUSE_MS = 2_000;
/** The burst of signals of all records, then one per ms. Every living run signals after a lost watch position. */
const MOST_AT_ONCE = 10_000;
const PACE_MS = 1;
const SAID_EVERY_MS = 60_000;

/**
 * Returns how long the hint for this record waits, ms. Returns undefined to send none: another hint is queued for later
 * than this change, or there are too many in total and the next regular reconcile finds the change.
 */
type DelayOf = (key: string) => number | undefined;

/** Limits the rate of hints and so of reconciles (docs/architecture/reconciliation.md). */
function hintLimit({ clock, log }: Context): DelayOf {
  /** When the full burst of a record is available again. The record without signals for the longest comes first. */
  const restedAt = new Map<string, number>();
  let allRestedAt = 0;
  let saidAt = Number.NEGATIVE_INFINITY;
  const isTooMuch = (now: number) => {
    if (allRestedAt - (MOST_AT_ONCE - 1) * PACE_MS <= now) return false;
    if (now - saidAt < SAID_EVERY_MS) return true;
    log.warn("signals dropped", { most: MOST_AT_ONCE });
    saidAt = now;
    return true;
  };
  return (key) => {
    const now = clock.monotonic();
    const rested = Math.max(restedAt.get(key) ?? now, now);
    const delayMs = Math.max(0, rested - (MOST_OF_ONE - 1) * PAUSE_MS - now);
    if (delayMs > PAUSE_MS || isTooMuch(now)) return undefined;
    allRestedAt = Math.max(allRestedAt, now) + PACE_MS;
    restedAt.delete(key);
    restedAt.set(key, rested + PAUSE_MS);
    forgetOldest(restedAt);
    return delayMs;
  };
}

/** Removes the oldest entry. Its record may send a full burst again, which `MOST_AT_ONCE` limits too. */
function forgetOldest(restedAt: Map<string, number>): void {
  if (restedAt.size <= MOST_AT_ONCE) return;
  for (const oldest of restedAt.keys()) {
    restedAt.delete(oldest);
    return;
  }
}
