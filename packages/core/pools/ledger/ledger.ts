import type { Context } from "../../context.ts";
import type { Environment, Size } from "../../environments/record/record.ts";
import { instanceTypeOfPool } from "../../fleet.ts";
import type { Share } from "../../ports/compute.ts";
import type { Item, Key } from "../../ports/table.ts";
import { Conflict } from "../../problem.ts";
import {
  keyOfText,
  keyText,
  makeableKey,
  nodeIdentity,
  nodeKey,
  nodePartitions,
  parseNodeName,
} from "../../store/keys.ts";
import { type Read, readEach } from "../../store/readable.ts";
import { sameData } from "../../store/same-data.ts";
import { findGroup } from "../capacity/groups.ts";
import { parseMakeable, parseNodeLedger } from "./parse.ts";
import {
  type Entry,
  findPool,
  type Grant,
  type HeldEntry,
  type Holding,
  type Ledger,
  type LedgerItem,
  type MakeableLedger,
  type NodeLedger,
  type Pool,
} from "./record.ts";

export function nodeLedgerKey(ctx: Context, type: string, node: { readonly name: string; readonly uid: string }): Key {
  const identity = nodeIdentity(node);
  return nodeKey(type, ctx.ids.hash(identity).slice(0, 1), identity);
}

/** Reads a pool and its ledger items. The read is not a snapshot: each item is written on its own condition. */
export async function readLedger(ctx: Context<"table">, pool: Pool): Promise<Ledger> {
  const { type } = pool;
  const [makeable, ...partitions] = await Promise.all([
    ctx.table.get(makeableKey(type)),
    ...nodePartitions(type).map((pk) => listItems(ctx, pk)),
  ]);
  const nodes = readEach(ctx, partitions.flat(), parseNodeLedger);
  const others = readEach(ctx, makeable ? [makeable] : [], parseMakeable);
  const found = others.records[0] ?? emptyMakeable(type);
  return buildLedger(pool, nodes.records, found, new Set([...nodes.unreadable, ...others.unreadable]));
}

/**
 * Reads the ledger for a plan. With a node group, the machines still to be created depend on all items together. Each
 * new machine is written together with `makeable` (write-machines.ts), so a grant on a machine still to be created
 * conflicts if a machine arrived since. Throws `Conflict` if `makeable` changed during the read.
 */
export async function readLedgerForPlan(ctx: Context<"table">, pool: Pool): Promise<Ledger> {
  if (!findGroup(ctx, pool.type) && !pool.summary.grows) {
    const ledger = await readLedger(ctx, pool);
    // Its group is new: read again in the safe order.
    if (!ledger.makeable.group) return ledger;
  }
  const key = makeableKey(pool.type);
  const first = await ctx.table.get(key);
  const ledger = await readLedger(ctx, pool);
  const last = await ctx.table.get(key);
  if (first?.writers[0] !== last?.writers[0]) throw new Conflict(keyText(key));
  return ledger;
}

/** Reads the ledger item of the machines still to be created. Throws `Unreadable`. */
export async function readMakeable(ctx: Context<"table">, type: string): Promise<MakeableLedger> {
  const item = await ctx.table.get(makeableKey(type));
  return item ? parseMakeable(item) : emptyMakeable(type);
}

/** Returns the ledger of this type, or undefined if no job has asked for it yet. */
export async function findLedger(ctx: Context<"table">, type: string): Promise<Ledger | undefined> {
  const pool = await findPool(ctx, type);
  return pool && readLedger(ctx, pool);
}

export function buildLedger(
  pool: Pool,
  nodes: readonly NodeLedger[],
  makeable: MakeableLedger,
  unreadable: ReadonlySet<string> = new Set(),
): Ledger {
  const sorted = [...nodes].sort((a, b) => (a.sk < b.sk ? -1 : 1));
  const granted = new Map<string, Grant>();
  const held = new Map<string, Holding>();
  const torn = new Set<string>();
  /** Adds an entry of one item. Marks all items of a grant as torn if its entries differ. */
  const add = <One extends Grant>(found: Map<string, One>, grant: One, key: string) => {
    const earlier = found.get(grant.id);
    if ((earlier && !sameData(earlier, grant)) || !grant.items.includes(key))
      for (const item of [key, ...grant.items, ...(earlier?.items ?? [])]) torn.add(item);
    found.set(grant.id, grant);
  };
  for (const item of [...sorted, makeable]) {
    const key = keyText(item);
    const { grantIn, holdingIn } = getReader(item, key);
    for (const entry of item.held) add(held, holdingIn(entry), key);
    for (const entry of item.granted) add(granted, grantIn(entry), key);
  }
  for (const [id, { items }] of granted) {
    if (!held.has(id)) continue;
    for (const item of [...items, ...(held.get(id)?.items ?? [])]) torn.add(item);
    granted.delete(id);
  }
  const entries = { granted: [...granted.values()], held: [...held.values()] };
  return { pool, type: pool.type, nodes: sorted, makeable, ...entries, unreadable, torn };
}

/** Has no writers, so the first write fails if the item exists. It may exist and be unreadable. */
function emptyMakeable(type: string): MakeableLedger {
  return { ...makeableKey(type), writers: [], kind: "makeable", type, granted: [], held: [] };
}

/** Returns functions that convert the entries of one item. A large pool has 100,000 entries, so they share objects. */
function getReader(item: LedgerItem, itemKey: string) {
  const { type } = item;
  const ownItems = [itemKey];
  // Plans look machines up by this name. Comparing the same string object is faster.
  const node = item.kind === "node" ? item.name : null;
  const { name: instanceType, gpus } = instanceTypeOfPool(type);
  let last: Size | undefined;
  let lastShares: readonly Share[] | undefined;
  const getSize = ({ machines, units, wantedMs }: Entry): Size => {
    if (last?.machines === machines && last.units === units && last.wantedMs === wantedMs) return last;
    last = { pool: type, instanceType, machines, units, gpus: gpus > 0 ? machines * units : 0, wantedMs };
    return last;
  };
  const listShares = ({ items, units, zone, group }: Entry): readonly Share[] => {
    const toMake = { node: null, units, ...(zone !== undefined && { zone }), ...(group !== undefined && { group }) };
    if (items) return items.map(parseNodeName).map((name) => (name === null ? { ...toMake } : { node: name, units }));
    // A plan must tell the shares of machines still to be created apart (plan.ts, `allNodes`).
    if (node === null) return [toMake];
    if (lastShares?.[0]?.units !== units) lastShares = [{ node, units }];
    return lastShares;
  };
  return {
    grantIn(entry: Entry): Grant {
      const { grant: id, key, uid, run, owner, items = ownItems, at, unreadableSince } = entry;
      const grant = { id, key, uid, run, owner, size: getSize(entry), shares: listShares(entry), items, at };
      return unreadableSince === undefined ? grant : { ...grant, unreadableSince };
    },
    /** Builds a literal instead of copying the grant: holdings are most of what a plan allocates. */
    holdingIn(entry: HeldEntry): Holding {
      const { grant: id, key, uid, run, owner, items = ownItems, at, phase, endsAt, unreadableSince } = entry;
      const [size, shares] = [getSize(entry), listShares(entry)];
      const holding = { id, key, uid, run, owner, size, shares, items, at, phase, endsAt };
      return unreadableSince === undefined ? holding : { ...holding, unreadableSince };
    },
  };
}

export function toEntry({ id, key, uid, run, owner, size, items, shares, at, unreadableSince }: Grant): Entry {
  const { machines, wantedMs } = size;
  const units = shares[0]?.units ?? size.units;
  const several = machines > 1 ? { items } : {};
  const { zone, group } = shares.find(({ node }) => node === null) ?? {};
  const where = { ...(zone !== undefined && { zone }), ...(group !== undefined && { group }) };
  const since = unreadableSince === undefined ? {} : { unreadableSince };
  return { key, uid, run, grant: id, owner, units, machines, ...several, ...where, wantedMs, at, ...since };
}

/** Reads the ledger items of these keys, in the form that messages and records use. */
export async function readLedgerItems(ctx: Context<"table">, named: readonly string[]): Promise<Read<LedgerItem>> {
  const keys = [...new Set(named)].flatMap((text) => keyOfText(text) ?? []);
  if (keys.length === 0) return { records: [], unreadable: new Set() };
  return readEach(ctx, await ctx.table.getMany(keys), parseLedgerItem);
}

function parseLedgerItem(item: Item): LedgerItem {
  return item.kind === "makeable" ? parseMakeable(item) : parseNodeLedger(item);
}

/** Returns the items that may name this environment: of its grants, and of machines that its run was bound to. */
export function listLedgerItems(ctx: Context, { placement, run, size }: Environment): readonly string[] {
  const bound = run.machines.map((machine) => keyText(nodeLedgerKey(ctx, size.pool, machine)));
  return [...new Set([...placement.ledgers, ...bound])];
}

export function wholeGrants(items: readonly LedgerItem[]): Grant[] {
  const byKey = new Map(items.map((item) => [keyText(item), item]));
  const grants = items.flatMap((item) => item.granted.map(getReader(item, keyText(item)).grantIn));
  const isThere = ({ id }: Grant, item: string) => byKey.get(item)?.granted.some(({ grant }) => grant === id) ?? false;
  const whole = grants.filter((grant) => grant.items.every((item) => isThere(grant, item)));
  return [...new Map(whole.map((grant) => [grant.id, grant])).values()];
}

async function listItems(ctx: Context<"table">, pk: string): Promise<Item[]> {
  const items: Item[] = [];
  let after: string | undefined;
  do {
    const page = await ctx.table.query(after === undefined ? { pk } : { pk, after });
    items.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return items;
}
