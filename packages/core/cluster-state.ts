import type { Context } from "./context.ts";
import { clusterKey } from "./keys.ts";
import type { Item, Stored } from "./ports/table.ts";
import { unlessUnreadable } from "./readable.ts";
import { isNewer, Unreadable } from "./unreadable.ts";
import { writeRecord } from "./write-record.ts";

/** Whether the cluster answered the latest listing of its machines. Written on changes only. */
export interface ClusterState extends Stored {
  readonly kind: "cluster";
  readonly reachable: boolean;
  /** When that changed last, ms. */
  readonly since: number;
}

/** Undefined: the cluster has always answered. Throws `Unreadable` for what a newer version wrote. */
export async function readClusterState(ctx: Pick<Context<"table">, "table">): Promise<ClusterState | undefined> {
  return clusterStateOf(await ctx.table.get(clusterKey));
}

export function clusterStateOf(item: Item | undefined): ClusterState | undefined {
  if (item && isNewer(item)) throw new Unreadable("cluster", item, "a newer version wrote the state of the cluster");
  if (typeof item?.reachable !== "boolean" || typeof item.since !== "number") return undefined;
  const { writers, reachable, since } = item;
  return { ...clusterKey, writers, kind: "cluster", reachable, since };
}

/** The same ports, whose listing of the machines notes whether the cluster answers. */
export function notingAnswers<Ctx extends Context<"table" | "compute">>(ctx: Ctx): Ctx {
  const { compute } = ctx;
  return { ...ctx, compute: { ...compute, listNodes: () => notingAnswer(ctx, compute.listNodes()) } };
}

/**
 * Notes whether the cluster answered, and passes its answer or its error on. A note that fails is left to the next
 * listing: it must not cost this one.
 */
async function notingAnswer<Answer>(ctx: Context<"table">, asked: Promise<Answer>): Promise<Answer> {
  try {
    const answer = await asked;
    await note(ctx, true);
    return answer;
  } catch (error) {
    await note(ctx, false);
    throw error;
  }
}

async function note(ctx: Context<"table">, reachable: boolean): Promise<void> {
  try {
    const before = await unlessUnreadable(ctx, () => readClusterState(ctx));
    if ((before?.reachable ?? true) === reachable) return;
    ctx.log.warn(reachable ? "cluster reachable" : "cluster unreachable");
    const writers = before?.writers ?? [];
    await writeRecord<ClusterState>(ctx, {
      ...clusterKey,
      writers,
      kind: "cluster",
      reachable,
      since: ctx.clock.now(),
    });
  } catch (error) {
    ctx.log.warn("state of the cluster not noted", { error: String(error) });
  }
}
