import type { Context } from "../../context.ts";
import type { ComputeNode } from "../../ports/compute.ts";
import type { MachineGroup } from "../../ports/machine-groups.ts";
import type { Item } from "../../ports/table.ts";
import { keyText, nodeIdentity, poolKey } from "../../store/keys.ts";
import type { Read } from "../../store/readable.ts";
import { beginGroupPools, beginPool } from "../admission/begin-pool.ts";
import { type HeldByRecords, nothingHeld, readHeldByRecords } from "../ledger/allocations-from-records.ts";
import { nodeLedgerKey } from "../ledger/ledger.ts";
import type { Ledger, Pool, PoolNode } from "../ledger/record.ts";
import { findGroup } from "./groups.ts";
import { findPoolGroups, writePoolGroups } from "./machine-groups.ts";
import { readGoneNodes } from "./node-gone.ts";
import { type Listing, poolNodes } from "./pool-nodes.ts";
import { writePool } from "./write-machines.ts";

/** How much of a listing was written. `again`: only another full listing can add one of its machines. */
export type Written = "all" | "part" | "again";

/** What the cluster and the provider listed, and the ledgers as they were before. */
export interface ReadListing {
  readonly pools: readonly Item[];
  readonly heads: Read<Pool>;
  readonly ledgers: readonly Ledger[];
  readonly groups: readonly MachineGroup[] | undefined;
  readonly listed: readonly ComputeNode[];
  /** `listed`, with the ends of the node groups. */
  readonly shown: readonly ComputeNode[];
  readonly nodes: Listing["nodes"];
  readonly said: ReadonlyMap<string, number>;
  readonly listedAt: number;
}

/** Updates the items of the named machines. Returns `again` if one of them needs a new item. */
export async function writeNamed(
  ctx: Context<"table" | "queue">,
  listing: ReadListing,
  names: ReadonlySet<string>,
): Promise<Written> {
  const { ledgers, nodes } = listing;
  const written = await Promise.all(
    ledgers.map(({ type, nodes: all }) => {
      const known = all.filter(({ name, gone }) => names.has(name) && !gone);
      const identities = new Set(known.map(nodeIdentity));
      const found = (nodes.get(type) ?? []).filter((node) => identities.has(nodeIdentity(node)));
      return writePool(ctx, { type, nodes: known, grows: false }, found, nothingHeld);
    }),
  );
  if (isReplaced(listing) || findNew(ctx, listing, nodes).length > 0) return "again";
  return written.every((isWritten) => isWritten) ? "all" : "part";
}

/** Updates all items, with those of node groups, then adds new machines. */
export async function writeListing(ctx: Context<"table" | "queue">, listing: ReadListing): Promise<Written> {
  const { pools, ledgers, groups, listed, shown, nodes, said, listedAt } = listing;
  const poolGroups = findPoolGroups(ctx, groups ?? [], listed, nodes, ledgers);
  if (groups) await writePoolGroups(ctx, ledgers, poolGroups);
  // The group that a ledger knows is still granted from, also while the provider's answer cannot be read.
  const hasGroup = new Set(ledgers.filter(({ makeable }) => makeable.group).map(({ type }) => type));
  const grows = (type: string) => poolGroups.has(type) || hasGroup.has(type) || findGroup(ctx, type) !== undefined;
  const isKnown = knownIn(ctx, ledgers);
  const updated = await Promise.all(
    ledgers.map((ledger) => {
      const found = (nodes.get(ledger.type) ?? []).filter((node) => isKnown(ledger.type, node));
      return writePool(ctx, { ...ledger, grows: grows(ledger.type) }, found, nothingHeld);
    }),
  );
  const newNodes = findNew(ctx, listing, nodes);
  if (newNodes.length > 0) {
    // Read after the known machines, because these larger reads may fail. They have no time limit: with very many
    // living environments, no new machine would ever be added.
    const taken = await readHeldByRecords(ctx, ledgers);
    // Read last. A declaration about a machine without an item is stored only on its own, and is not read again once
    // the item exists.
    const words = await readGoneNodes(ctx, newNodes.flatMap(uidsIn), ctx.clock.now());
    const known = poolNodes(shown, ledgers, new Map([...words, ...said]), listedAt);
    const added = findNew(ctx, listing, known.nodes);
    const add = ([type, found]: NewNodes) => addToPool(ctx, { ledgers, type, grows: grows(type) }, found, taken);
    updated.push(...(await Promise.all(added.map(add))));
  }
  await beginGroupPools(ctx, pools, poolGroups.keys());
  if (isReplaced(listing)) return "again";
  return updated.every((isWritten) => isWritten) ? "all" : "part";
}

/** The machines of a pool that have no ledger item. */
type NewNodes = readonly [type: string, nodes: readonly PoolNode[]];

function findNew(ctx: Context, { heads, ledgers }: ReadListing, nodes: Listing["nodes"]): NewNodes[] {
  const isKnown = knownIn(ctx, ledgers);
  return [...nodes].flatMap(([type, found]): NewNodes[] => {
    const added = found.filter((node) => !isKnown(type, node));
    return added.length === 0 || heads.unreadable.has(keyText(poolKey(type))) ? [] : [[type, added]];
  });
}

/** Reports whether a machine was left out because an earlier machine of its name still had an item. */
function isReplaced({ ledgers, nodes, listed }: ReadListing): boolean {
  const uids = new Map(listed.map(({ name, uid }) => [name, uid]));
  return ledgers.some(({ type, nodes: known }) => {
    const kept = new Set(nodes.get(type)?.map(nodeIdentity));
    return known.some((node) => !kept.has(nodeIdentity(node)) && (uids.get(node.name) ?? node.uid) !== node.uid);
  });
}

async function addToPool(
  ctx: Context<"table" | "queue">,
  { ledgers, type, grows }: { readonly ledgers: readonly Ledger[]; readonly type: string; readonly grows: boolean },
  found: readonly PoolNode[],
  taken: HeldByRecords,
): Promise<boolean> {
  const isThere = ledgers.some((ledger) => ledger.type === type) || (await beginPool(ctx, type));
  // A new pool is written without reading its ledger: items that exist by now are newer than the listing.
  return isThere ? writePool(ctx, { type, nodes: [], grows }, found, taken) : false;
}

function knownIn(ctx: Context, ledgers: readonly Ledger[]): (type: string, node: PoolNode) => boolean {
  const items = new Set(ledgers.flatMap(({ nodes }) => nodes.map((node) => keyText(node))));
  return (type, node) => items.has(keyText(nodeLedgerKey(ctx, type, node)));
}

function uidsIn([, nodes]: NewNodes): string[] {
  return nodes.map(({ uid }) => uid);
}
