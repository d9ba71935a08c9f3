import type { Context, Stored, UserContext } from "../context.ts";
import { poolTypes } from "../fleet.ts";
import { keyOfText, keyText, nodeGoneKey, poolKey } from "../keys.ts";
import { sendLook } from "../look.ts";
import { Problem } from "../problem.ts";
import { readEach } from "../readable.ts";
import { changeRecord } from "../write-record.ts";
import { parsePool } from "./parse.ts";
import { holdingsOn } from "./pool-nodes.ts";
import { findPool, type Pool, type PoolNode } from "./record.ts";

/** How long the operator's word that a machine is dead counts. */
export const WORD_MS = 24 * 3_600_000;

/** One item, written without a condition: the newest word counts. */
interface GoneNode extends Stored {
  readonly kind: "node-gone";
  readonly node: string;
  readonly at: number;
  readonly ttl: number;
}

/**
 * The operator's word that the machine behind a node is dead, whatever cluster and provider say: what runs there is lost
 * and nothing is granted there for 24 h. It is the word on that node object: one that has its name later is another.
 * Throws `notFound` for a node that no pool has, or `conflict` when a ledger that cannot be read may have it.
 */
export async function declareNodeGone(ctx: UserContext<"table" | "queue">, name: string): Promise<PoolNode> {
  const read = readEach(ctx, await ctx.table.getMany(poolTypes.map(poolKey)), parsePool);
  const pool = read.records.find(({ nodes }) => nodes.some((node) => node.name === name));
  const node = pool?.nodes.find((one) => one.name === name);
  if (!pool || !node) throw unknownNode(name, read.unreadable);
  const now = ctx.clock.now();
  const key = nodeGoneKey(node.uid);
  const ttl = Math.ceil((now + WORD_MS) / 1000);
  const word: GoneNode = { ...key, writers: [], kind: "node-gone", node: name, at: now, ttl };
  await ctx.table.put(word);
  await markGone(ctx, pool.type, node.uid, now);
  const held = holdingsOn(pool, name).flatMap((entry) => keyOfText(entry.key) ?? []);
  await Promise.all([
    sendLook(ctx, poolKey(pool.type)),
    ...held.map((environment) => sendLook(ctx, environment, { for: [keyText(key)] })),
  ]);
  return node;
}

function unknownNode(name: string, unreadable: ReadonlySet<string>): Problem {
  const text = `Node '${name.slice(0, 100)}' not found`;
  if (unreadable.size === 0) return new Problem("notFound", text);
  const ledgers = [...unreadable].join(", ");
  return new Problem("conflict", `${text}, but it may be in a ledger that cannot be read: ${ledgers}`);
}

/** Which of these nodes, by uid, the operator called gone within the last 24 h, and when. */
export async function readGoneNodes(
  ctx: Context<"table">,
  uids: readonly string[],
  now: number,
): Promise<ReadonlyMap<string, number>> {
  if (uids.length === 0) return new Map();
  const keys = new Map(uids.map((uid) => [nodeGoneKey(uid).pk, uid]));
  const items = await ctx.table.getMany([...keys.values()].map(nodeGoneKey));
  const said = items.flatMap(({ pk, at }): [string, number][] => {
    const uid = keys.get(pk);
    return uid !== undefined && typeof at === "number" && now - at < WORD_MS ? [[uid, at]] : [];
  });
  return new Map(said);
}

/** In the ledger, so that nothing is granted there until a listing comes. */
async function markGone(ctx: UserContext<"table">, type: string, uid: string, now: number): Promise<void> {
  await changeRecord(ctx, {
    read: () => findPool(ctx, type),
    decide(pool): Pool | undefined {
      const gone = { ready: false, gone: true, saidAt: now } as const;
      const nodes = pool?.nodes.map((node) => (node.uid === uid ? { ...node, ...gone } : node));
      return pool && nodes && { ...pool, nodes, dueAt: now };
    },
    what: "The ledger is",
  });
}
