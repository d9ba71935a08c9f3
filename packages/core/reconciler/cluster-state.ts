import type { Context } from "../context.ts";
import type { Item, Stored } from "../ports/table.ts";
import { clusterKey } from "../store/keys.ts";
import { isNewer, Unreadable } from "../store/unreadable.ts";
import { writeRecord } from "../store/write-record.ts";
import { hintAfterOutage } from "./outage-end.ts";

/** Whether the cluster answers. Written on changes only. */
export interface ClusterState extends Stored {
  readonly kind: "cluster";
  /** Whether it answered the latest listing of its machines, or a look after that. */
  readonly reachable: boolean;
  /** When that changed last, ms. */
  readonly since: number;
  /** When the end of an outage was last passed on, ms. */
  readonly hintedAt?: number | undefined;
}

/** A look that ends an outage sooner after the last hints passes nothing on. */
const AGAIN_MS = 60_000;

/** Undefined: the cluster has always answered. Throws `Unreadable` for what a newer version wrote. */
export async function readClusterState(ctx: Pick<Context<"table">, "table">): Promise<ClusterState | undefined> {
  return clusterStateOf(await ctx.table.get(clusterKey));
}

export function clusterStateOf(item: Item | undefined): ClusterState | undefined {
  if (item && isNewer(item)) throw new Unreadable("cluster", item, "a newer version wrote the state of the cluster");
  if (typeof item?.reachable !== "boolean" || typeof item.since !== "number") return undefined;
  const { writers, reachable, since } = item;
  const hintedAt = typeof item.hintedAt === "number" ? item.hintedAt : undefined;
  return { ...clusterKey, writers, kind: "cluster", reachable, since, hintedAt };
}

/**
 * Notes whether the cluster answered a listing of its machines. `item`: its state as it was read before. The first answer
 * after an outage sends hints to the environments that the outage put off.
 */
export async function noteListing(
  ctx: Context<"table" | "queue">,
  item: Item | undefined,
  reachable: boolean,
): Promise<void> {
  await unlessItFails(ctx, async () => {
    const state = clusterStateOf(item);
    if ((state?.reachable ?? true) === reachable) return;
    ctx.log.warn(reachable ? "cluster reachable" : "cluster unreachable");
    await change(ctx, item, state, reachable);
  });
}

/** Passes the end of an outage on that a look at an environment saw. One look does this for all. */
export async function noteAnsweredLook(ctx: Context<"table" | "queue">): Promise<void> {
  await unlessItFails(ctx, async () => {
    const item = await ctx.table.get(clusterKey);
    const state = clusterStateOf(item);
    if (Math.abs(ctx.clock.now() - (state?.hintedAt ?? 0)) >= AGAIN_MS) await change(ctx, item, state, true);
  });
}

/** Only the caller whose conditional write succeeds sends the hints. */
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

/** A note that fails is left to the next listing: it must cost neither this one nor a look. */
async function unlessItFails(ctx: Context, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    ctx.log.warn("state of the cluster not noted", { error: String(error) });
  }
}
