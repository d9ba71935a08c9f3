import type { Context } from "../context.ts";
import { type Environment, toKey } from "../environments/record/record.ts";
import { isClusterSilent } from "../environments/record/run/unseen.ts";
import type { Item, Stored } from "../ports/table.ts";
import { dueShards } from "../store/due.ts";
import { clusterKey, kindOfKey } from "../store/keys.ts";
import { unlessUnreadable } from "../store/readable.ts";
import { isNewer, Unreadable } from "../store/unreadable.ts";
import { writeRecord } from "../store/write-record.ts";
import { requestReconcile } from "./request-reconcile.ts";

/** Whether the cluster answers. Written only on changes. */
export interface ClusterState extends Stored {
  readonly kind: "cluster";
  /** True if it answered the last listing of its machines, or a later reconcile. */
  readonly reachable: boolean;
  /** Time of the last change, ms. */
  readonly since: number;
  /** When hints for the end of an outage were last sent, ms. */
  readonly hintedAt?: number | undefined;
}

/** A reconcile that ends an outage within this time after the last hints sends none. */
const AGAIN_MS = 60_000;

/** Returns undefined if the cluster has always answered. Throws `Unreadable` for a newer format. */
export async function readClusterState(ctx: Pick<Context<"table">, "table">): Promise<ClusterState | undefined> {
  return parseClusterState(await ctx.table.get(clusterKey));
}

export function parseClusterState(item: Item | undefined): ClusterState | undefined {
  if (item && isNewer(item)) throw new Unreadable("cluster", item, "a newer version wrote the state of the cluster");
  if (typeof item?.reachable !== "boolean" || typeof item.since !== "number") return undefined;
  const { writers, reachable, since } = item;
  const hintedAt = typeof item.hintedAt === "number" ? item.hintedAt : undefined;
  return { ...clusterKey, writers, kind: "cluster", reachable, since, hintedAt };
}

/**
 * Records whether the cluster answered a listing. `item` is the state as read before. The first answer after an outage
 * sends hints to the environments that the outage delayed.
 */
export async function noteListing(
  ctx: Context<"table" | "queue">,
  item: Item | undefined,
  reachable: boolean,
): Promise<void> {
  await unlessItFails(ctx, async () => {
    // Logged for each failed listing, because an alarm counts these lines (packages/lambda/metrics.ts).
    if (!reachable) ctx.log.warn("cluster unreachable");
    const state = parseClusterState(item);
    if ((state?.reachable ?? true) === reachable) return;
    if (reachable) ctx.log.warn("cluster reachable");
    await change(ctx, item, state, reachable);
  });
}

/** Records that a reconcile saw the end of an outage. One reconcile sends the hints for all. */
export async function noteAnsweredRequest(ctx: Context<"table" | "queue">): Promise<void> {
  await unlessItFails(ctx, async () => {
    const item = await ctx.table.get(clusterKey);
    const state = parseClusterState(item);
    if (Math.abs(ctx.clock.now() - (state?.hintedAt ?? 0)) >= AGAIN_MS) await change(ctx, item, state, true);
  });
}

/** Writes the new state. Only the caller whose conditional write succeeds sends the hints. */
async function change(
  ctx: Context<"table" | "queue">,
  item: Item | undefined,
  state: ClusterState | undefined,
  reachable: boolean,
): Promise<void> {
  const now = ctx.clock.now();
  const isNews = state?.reachable !== reachable;
  const written = await writeRecord<ClusterState>(ctx, {
    ...clusterKey,
    writers: item?.writers ?? [],
    kind: "cluster",
    reachable,
    since: state && !isNews ? state.since : now,
    hintedAt: reachable ? now : state?.hintedAt,
  });
  if (written && reachable) await hintAfterOutage(ctx);
}

/** Logs a failure. The next listing tries again, and the caller continues. */
async function unlessItFails(ctx: Context, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    ctx.log.warn("state of the cluster not noted", { error: String(error) });
  }
}

const QUIET_MS = 60_000;

/** Returns when (ms) the cluster stopped answering, if that was a minute ago and one of the environments is active. */
export async function readOutage(
  ctx: Context<"table">,
  environments: readonly Pick<Environment, "phase">[],
): Promise<number | undefined> {
  if (!environments.some(({ phase }) => phase === "active")) return undefined;
  const state = await unlessUnreadable(ctx, () => readClusterState(ctx));
  return state && !state.reachable && ctx.clock.now() - state.since >= QUIET_MS ? state.since : undefined;
}

/** The longest wait after a failed step (reconcile.ts). */
const REACH_MS = 300_000;
const MOST_PER_SHARD = 200;
/** The most hints at the end of an outage. Later reconciles send more, and each record is due in five minutes. */
const MOST_HINTS = 200;
/** Interval between hints, so that a recovering cluster does not receive all requests at once. */
const PACE_MS = 100;
const SENT_AT_ONCE = 20;

/** Sends hints to environments whose last reconcile failed because the cluster did not answer. */
async function hintAfterOutage(ctx: Context<"table" | "queue">): Promise<void> {
  const found = await Promise.all(dueShards.map((shard) => listUnanswered(ctx, shard)));
  const waiting = found.flat();
  const hinted = waiting
    .toSorted((left, right) => Number(left.createdAt) - Number(right.createdAt))
    .slice(0, MOST_HINTS);
  const send = (item: Item, place: number) =>
    requestReconcile(ctx, toKey(item), { isHint: true, delayMs: place * PACE_MS });
  for (let first = 0; first < hinted.length; first += SENT_AT_ONCE) {
    const some = hinted.slice(first, first + SENT_AT_ONCE);
    await Promise.all(some.map((item, at) => send(item, first + at)));
  }
  ctx.log.info("cluster answers again", { waiting: waiting.length, hints: hinted.length });
}

async function listUnanswered(ctx: Context<"table">, shard: string): Promise<Item[]> {
  const now = ctx.clock.now();
  const range = { from: now, to: now + REACH_MS, limit: MOST_PER_SHARD };
  const { items } = await ctx.table.query({ index: "due", partition: shard, ...range });
  const keys = items.filter((item) => kindOfKey(item) === "environment").map(toKey);
  return keys.length === 0 ? [] : (await ctx.table.getMany(keys)).filter(isClusterSilent);
}
