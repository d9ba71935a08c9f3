import type { ComputeNode, Context } from "../context.ts";
import { poolTypes } from "../fleet.ts";
import { keyText, poolKey } from "../keys.ts";
import { sendLook } from "../look.ts";
import { readable, unlessUnreadable } from "../readable.ts";
import { writeRecord } from "../write-record.ts";
import { type Closure, carryAdmission, closureOf, readAdmission } from "./admission.ts";
import { readGoneNodes, WORD_MS } from "./node-gone.ts";
import { parsePool } from "./parse.ts";
import { poolNodes } from "./pool-nodes.ts";
import { emptyPool, type Pool, type PoolNode } from "./record.ts";

/**
 * Compares the machines that the cluster has, one listing for all types, with what the ledgers say, and has those
 * looked at whose machines changed. A pool comes into being with its first machine, closed until that ledger was
 * carried what the operator wants: a wish that found no ledger is seen then. Into the other ledgers it carries what was
 * left undone; read after them, so that no older wish wins.
 */
export async function refreshCapacity(ctx: Context<"table" | "queue" | "compute">): Promise<void> {
  const startedAt = ctx.clock.monotonic();
  const listed = await ctx.compute.listNodes();
  const items = await ctx.table.getMany(poolTypes.map(poolKey));
  const pools = new Map(readable(ctx, items, parsePool).map((pool) => [pool.pk, pool]));
  const unreadable = new Set(items.map((item) => item.pk).filter((pk) => !pools.has(pk)));
  const admission = await unlessUnreadable(ctx, () => readAdmission(ctx));
  const said = await saidGone(ctx, listed, [...pools.values()]);
  const { nodes, leftOut } = poolNodes(listed, [...pools.values()], said);
  if (leftOut.length > 0)
    ctx.log.warn("nodes left out", { count: leftOut.length, nodes: leftOut.slice(0, MOST_LOGGED) });
  // Two refreshes may overtake each other: what one of them saw long ago must not undo what the other wrote.
  if (ctx.clock.monotonic() - startedAt > TOO_OLD_MS) return ctx.log.warn("capacity listed too slowly");
  await Promise.all(
    poolTypes.map(async (type) => {
      const key = poolKey(type);
      const found = nodes.get(type) ?? [];
      const pool = pools.get(key.pk) ?? (found.length > 0 ? emptyPool(ctx, type) : undefined);
      if (!pool || unreadable.has(key.pk)) return;
      const isNew = !pools.has(key.pk);
      const before = isNew ? "paused" : (pool.closed ?? null);
      // Nobody knows what the operator wants: what is closed stays closed, and nothing new is opened.
      const closed = admission && !isNew ? closureOf(admission, type) : before;
      if (sameNodes(pool.nodes, found) && (pool.closed ?? null) === closed) return;
      await writeNodes(ctx, pool, found, closed);
      if (isNew && admission) await carryAdmission(ctx, type);
      await sendLook(ctx, key);
    }),
  );
}

/** The ledgers know what the operator said of their nodes; of a node that is new to them it is read. */
async function saidGone(
  ctx: Context<"table">,
  listed: readonly ComputeNode[],
  pools: readonly Pool[],
): Promise<ReadonlyMap<string, number>> {
  const now = ctx.clock.now();
  const known = new Map(pools.flatMap(({ nodes }) => nodes.map((node) => [node.uid, node.saidAt] as const)));
  const fresh = listed.map(({ uid }) => uid).filter((uid) => !known.has(uid));
  const said = new Map(await readGoneNodes(ctx, fresh, now));
  for (const [uid, at] of known) if (at !== undefined && now - at < WORD_MS) said.set(uid, at);
  return said;
}

const MOST_LOGGED = 20;
const TOO_OLD_MS = 20_000;

function sameNodes(a: readonly PoolNode[], b: readonly PoolNode[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A lost race is left to the next run, a minute later: the winner may know better. */
async function writeNodes(
  ctx: Context<"table">,
  pool: Pool,
  nodes: readonly PoolNode[],
  closed: Closure | null,
): Promise<void> {
  const written = await writeRecord(ctx, { ...pool, nodes, closed, dueAt: ctx.clock.now() });
  if (!written) ctx.log.info("capacity raced", { look: keyText(pool) });
}
