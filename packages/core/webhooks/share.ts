import type { Context } from "../context.ts";
import type { Item, Key, Stored } from "../ports/table.ts";
import { ownersReceiversKey } from "../store/keys.ts";
import { unlessUnreadable } from "../store/readable.ts";
import { number } from "../store/shape.ts";
import { parserOf } from "../store/unreadable.ts";
import { changeRecord, writeRecord } from "../store/write-record.ts";
import { PATIENCE_MS } from "./attempt.ts";

/**
 * How long receivers of one owner kept workers waiting, whatever they answered and however many host names they have.
 * There is no such item while they answer at once.
 */
interface Share extends Stored {
  readonly kind: "share";
  /** What it was at `at`, in ms; it wears off. */
  readonly heldMs: number;
  readonly at: number;
  /** Seconds since the epoch. */
  readonly ttl: number;
}

type Taken = { readonly may: "dial"; readonly reservedMs: number } | { readonly may: "wait"; readonly until: number };

/** Below this a post is free. */
const SLOW_MS = 1_000;
const MOST_MS = 60_000;
/** On average an owner's receivers keep half a worker. */
const WEARS_OFF = 0.5;
const LEAST_WAIT_MS = 60_000;
const KEPT_SECONDS = 24 * 3600;
/** As many posts as workers make at once, 64 in one process, may end together: one of them is written at each try. */
const TRIES = 80;

/**
 * Whether a receiver of this owner may be dialled now. While they were slow lately, each post takes its longest time
 * beforehand: those that begin together know nothing of one another yet. What nobody gives back wears off.
 */
export async function reserveReceiverTime(ctx: Context<"table">, owner: string, now: number): Promise<Taken> {
  const share = await readShare(ctx, ownersReceiversKey(owner));
  const heldMs = share && share !== "unreadable" ? heldAt(share, now) : 0;
  if (!share || share === "unreadable" || heldMs === 0) return { may: "dial", reservedMs: 0 };
  const over = heldMs + PATIENCE_MS - MOST_MS;
  if (over > 0) return { may: "wait", until: now + Math.max(over / WEARS_OFF, LEAST_WAIT_MS) };
  const isOurs = await writeRecord(ctx, { ...share, ...kept(heldMs + PATIENCE_MS, now, share) });
  return isOurs ? { may: "dial", reservedMs: PATIENCE_MS } : { may: "wait", until: now + LEAST_WAIT_MS };
}

/** The post is over: what it really took counts in place of what was taken for it. */
export async function chargeReceiverTime(
  ctx: Context<"table">,
  owner: string,
  { reservedMs, tookMs }: { readonly reservedMs: number; readonly tookMs: number },
  now: number,
): Promise<void> {
  if (reservedMs === 0 && tookMs < SLOW_MS) return;
  const key = ownersReceiversKey(owner);
  await changeRecord(ctx, {
    read: () => readShare(ctx, key),
    decide(share): Share | undefined {
      if (share === "unreadable") return undefined;
      const heldMs = Math.max(0, (share ? heldAt(share, now) : 0) + tookMs - reservedMs);
      return { ...share, ...key, writers: share?.writers ?? [], kind: "share", ...kept(heldMs, now, share) };
    },
    what: "The owner's share is",
    tries: TRIES,
  });
}

function heldAt({ heldMs, at }: Share, now: number): number {
  return Math.max(0, heldMs - Math.max(0, now - at) * WEARS_OFF);
}

/** Never earlier than it was known: by a clock that is behind, or after a sleep, the same time would wear off twice. */
function kept(heldMs: number, now: number, known: Share | undefined): Pick<Share, "heldMs" | "at" | "ttl"> {
  const at = Math.max(now, known?.at ?? 0);
  return { heldMs, at, ttl: Math.floor(at / 1000) + KEPT_SECONDS };
}

/** What cannot be read stays until its own time is over; until then nothing is counted. */
async function readShare(ctx: Context<"table">, key: Key): Promise<Share | "unreadable" | undefined> {
  const item = await ctx.table.get(key);
  return item && ((await unlessUnreadable(ctx, async () => parseShare(item))) ?? "unreadable");
}

const parseShare: (item: Item) => Share = parserOf("share", { heldMs: number, at: number, ttl: number });
