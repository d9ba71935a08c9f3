import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "#core/context.ts";
import { parseClusterState } from "#core/reconciler/cluster-state.ts";
import { clusterKey } from "#core/store/keys.ts";
import { unlessUnreadable } from "#core/store/readable.ts";
import type { Deployment } from "#http/runtime.ts";

export interface Dependencies {
  readonly table: boolean;
  readonly queue: boolean;
  readonly reason: string | undefined;
  readonly cluster: { readonly reachable: boolean; readonly since: number | null };
}

/**
 * Checks which stores answer within 800 ms, so that /health answers in a second, and accept writes. Logs failures.
 */
export async function checkDependencies(
  ctx: Context<"table" | "queue">,
  { whyNothingIsStored }: Pick<Deployment, "whyNothingIsStored">,
): Promise<Dependencies> {
  let cluster: Dependencies["cluster"] = { reachable: true, since: null };
  const [table, queue, refusal] = await Promise.all([
    answers(ctx, "table", async () => {
      const item = await ctx.table.get(clusterKey);
      const state = await unlessUnreadable(ctx, async () => parseClusterState(item));
      if (state) cluster = { reachable: state.reachable, since: state.since };
    }),
    answers(ctx, "queue", () => ctx.queue.depth("work")),
    whyNothingIsStored?.(),
  ]);
  if (refusal !== undefined) {
    ctx.log.warn("dependency down", { dependency: "writes", error: refusal });
    return { table: false, queue: false, reason: refusal, cluster };
  }
  return { table, queue, reason: findReason(table, queue), cluster };
}

function findReason(table: boolean, queue: boolean): string | undefined {
  if (!table) return "Records cannot be read";
  return queue ? undefined : "Messages cannot be read";
}

const PATIENCE_MS = 800;
const SLICE_MS = 100;

async function answers(ctx: Context, name: string, ask: () => Promise<unknown>): Promise<boolean> {
  const over = new AbortController();
  try {
    await Promise.race([silence(over.signal), ask()]);
    return true;
  } catch (error) {
    ctx.log.warn("dependency down", { dependency: name, error: String(error) });
    return false;
  } finally {
    over.abort();
  }
}

/**
 * Throws if a store does not answer in time. The wait is sliced: a process that was busy sees only one slice pass,
 * and reads the answers that have arrived before the next slice is over.
 */
async function silence(signal: AbortSignal): Promise<void> {
  for (let waited = 0; waited < PATIENCE_MS; waited += SLICE_MS) {
    const isOver = await sleep(SLICE_MS, false, { signal }).catch(() => true);
    if (isOver) return;
  }
  throw new Error(`No answer in ${PATIENCE_MS} ms`);
}
