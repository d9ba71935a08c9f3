import type { Context } from "../context.ts";
import type { Item, Key, Stored } from "../ports/table.ts";
import { ownersReceiversKey } from "../store/keys.ts";
import { unlessUnreadable } from "../store/readable.ts";
import { number } from "../store/shape.ts";
import { createParser } from "../store/unreadable.ts";
import { changeRecord, writeRecord } from "../store/write-record.ts";
import { PATIENCE_MS } from "./attempt.ts";

/** Worker time that the receivers of one owner used. The item exists only after slow posts. */
interface Share extends Stored {
  readonly kind: "share";
  /** Value at time `at`, in ms; it decays. */
  readonly heldMs: number;
  readonly at: number;
  readonly ttl: number;
}

type Taken = { readonly may: "dial"; readonly reservedMs: number } | { readonly may: "wait"; readonly until: number };

/** Shorter posts are free. */
const SLOW_MS = 1_000;
const MOST_MS = 60_000;
/** Decay per ms: on average, an owner's receivers may occupy half a worker. */
const WEARS_OFF = 0.5;
const LEAST_WAIT_MS = 60_000;
const KEPT_SECONDS = 24 * 3600;
/** One process makes 64 posts at once, and one of them succeeds per try if they end together. */
const TRIES = 80;

/**
 * Reports whether a receiver of this owner may be called. After slow posts, each post reserves its time-out, because
 * concurrent posts do not see each other.
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

/** `at` never moves back, or a slow clock or a paused worker would let the same time decay twice. */
function kept(heldMs: number, now: number, knownShare: Share | undefined): Pick<Share, "heldMs" | "at" | "ttl"> {
  const at = Math.max(now, knownShare?.at ?? 0);
  return { heldMs, at, ttl: Math.floor(at / 1000) + KEPT_SECONDS };
}

/** Returns `unreadable` for a bad record: it stays until its TTL, and nothing is counted until then. */
async function readShare(ctx: Context<"table">, key: Key): Promise<Share | "unreadable" | undefined> {
  const item = await ctx.table.get(key);
  return item && ((await unlessUnreadable(ctx, async () => parseShare(item))) ?? "unreadable");
}

const parseShare: (item: Item) => Share = createParser("share", { heldMs: number, at: number, ttl: number });
