import type { Context } from "../context.ts";
import type { Item, Stored } from "../ports/table.ts";
import { clusterKey } from "../store/keys.ts";
import { isNewer, Unreadable } from "../store/unreadable.ts";
import { writeRecord } from "../store/write-record.ts";
import { hintAfterOutage } from "./outage-end.ts";

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
    const state = parseClusterState(item);
    if ((state?.reachable ?? true) === reachable) return;
    ctx.log.warn(reachable ? "cluster reachable" : "cluster unreachable");
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
