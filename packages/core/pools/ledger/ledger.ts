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
  nodeNameOf,
  nodePartitions,
} from "../../store/keys.ts";
import { type Read, readEach } from "../../store/readable.ts";
import { sameData } from "../../store/same-data.ts";
import { groupOf } from "../capacity/groups.ts";
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

/** The key of the ledger item of this node object. */
export function nodeLedgerKey(ctx: Context, type: string, node: { readonly name: string; readonly uid: string }): Key {
  const identity = nodeIdentity(node);
  return nodeKey(type, ctx.ids.hash(identity).slice(0, 1), identity);
}

/** A pool and its ledger items. Those that changed while it was read do no harm: each is written on its own condition. */
export async function readLedger(ctx: Context<"table">, pool: Pool): Promise<Ledger> {
  const { type } = pool;
  const [makeable, ...partitions] = await Promise.all([
    ctx.table.get(makeableKey(type)),
    ...nodePartitions(type).map((pk) => itemsOf(ctx, pk)),
  ]);
  const nodes = readEach(ctx, partitions.flat(), parseNodeLedger);
  const others = readEach(ctx, makeable ? [makeable] : [], parseMakeable);
  const found = others.records[0] ?? emptyMakeable(type);
  return ledgerOf(pool, nodes.records, found, new Set([...nodes.unreadable, ...others.unreadable]));
}

/**
 * The same for a plan. Where a group makes machines, what is left for it to make is known only from all items together:
 * each machine that comes has `makeable` written with it (capacity.ts), so that an unpinned grant is written only where
 * no machine came since these were read, and no machine is taken for free that one came for meanwhile. Throws `Conflict`
 * where `makeable` was written while they were read.
 */
export async function readLedgerForPlan(ctx: Context<"table">, pool: Pool): Promise<Ledger> {
  if (!groupOf(ctx, pool.type)) return readLedger(ctx, pool);
  const key = makeableKey(pool.type);
  const first = await ctx.table.get(key);
  const ledger = await readLedger(ctx, pool);
  const last = await ctx.table.get(key);
  if (first?.writers[0] !== last?.writers[0]) throw new Conflict(keyText(key));
  return ledger;
}

/** The ledger item of the machines still to be made. Throws `Unreadable`. */
export async function readMakeable(ctx: Context<"table">, type: string): Promise<MakeableLedger> {
  const item = await ctx.table.get(makeableKey(type));
  return item ? parseMakeable(item) : emptyMakeable(type);
}

/** The ledger of this type; undefined while nobody has asked for it. */
export async function findLedger(ctx: Context<"table">, type: string): Promise<Ledger | undefined> {
  const pool = await findPool(ctx, type);
  return pool && readLedger(ctx, pool);
}

/** What ledger items say together. */
export function ledgerOf(
  pool: Pool,
  nodes: readonly NodeLedger[],
  makeable: MakeableLedger,
  unreadable: ReadonlySet<string> = new Set(),
): Ledger {
  const sorted = [...nodes].sort((a, b) => (a.sk < b.sk ? -1 : 1));
  const granted = new Map<string, Grant>();
  const held = new Map<string, Holding>();
  const torn = new Set<string>();
  /** Adds what one item says. Marks all items of a grant of which two items, or one item twice, say something else. */
  const add = <One extends Grant>(found: Map<string, One>, one: One, key: string) => {
    const known = found.get(one.id);
    if ((known && !sameData(known, one)) || !one.items.includes(key))
      for (const item of [key, ...one.items, ...(known?.items ?? [])]) torn.add(item);
    found.set(one.id, one);
  };
  for (const item of [...sorted, makeable]) {
    const key = keyText(item);
    const { grantIn, holdingIn } = readerOf(item, key);
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

/** No writers: the first write must find it absent. One that cannot be read is present, so nothing is granted in it. */
function emptyMakeable(type: string): MakeableLedger {
  return { ...makeableKey(type), writers: [], kind: "makeable", type, granted: [], held: [] };
}

/** Returns how the entries of one item are read. A large pool has a hundred thousand entries: they share what they can. */
function readerOf(item: LedgerItem, itemKey: string) {
  const { type } = item;
  const own = [itemKey];
  // Plans look machines up by this name, which is faster with the very same text.
  const node = item.kind === "node" ? item.name : null;
  const { name: instanceType, gpus } = instanceTypeOfPool(type);
  let last: Size | undefined;
  let lastShares: readonly Share[] | undefined;
  const sizeOf = ({ machines, units, wantedMs }: Entry): Size => {
    if (last?.machines === machines && last.units === units && last.wantedMs === wantedMs) return last;
    last = { pool: type, instanceType, machines, units, gpus: gpus > 0 ? machines * units : 0, wantedMs };
    return last;
  };
  const sharesOf = ({ items, units }: Entry): readonly Share[] => {
    if (items) return items.map((key) => ({ node: nodeNameOf(key), units }));
    // A plan tells shares of machines still to be made apart (plan.ts, `allNodes`).
    if (node === null) return [{ node, units }];
    if (lastShares?.[0]?.units !== units) lastShares = [{ node, units }];
    return lastShares;
  };
  return {
    grantIn(entry: Entry): Grant {
      const { grant: id, key, uid, run, owner, items = own, at, unreadableSince } = entry;
      const grant = { id, key, uid, run, owner, size: sizeOf(entry), shares: sharesOf(entry), items, at };
      return unreadableSince === undefined ? grant : { ...grant, unreadableSince };
    },
    /** A literal of its own, and no copy of the grant: these are most of what a plan allocates. */
    holdingIn(entry: HeldEntry): Holding {
      const { grant: id, key, uid, run, owner, items = own, at, phase, endsAt, unreadableSince } = entry;
      const [size, shares] = [sizeOf(entry), sharesOf(entry)];
      const holding = { id, key, uid, run, owner, size, shares, items, at, phase, endsAt };
      return unreadableSince === undefined ? holding : { ...holding, unreadableSince };
    },
  };
}

/** A grant as each of its ledger items has it. */
export function entryOf({ id, key, uid, run, owner, size, items, shares, at, unreadableSince }: Grant): Entry {
  const { machines, wantedMs } = size;
  const units = shares[0]?.units ?? size.units;
  const several = machines > 1 ? { items } : {};
  const since = unreadableSince === undefined ? {} : { unreadableSince };
  return { key, uid, run, grant: id, owner, units, machines, ...several, wantedMs, at, ...since };
}

/** The ledger items of these keys, as a message or a record names them. */
export async function readLedgerItems(ctx: Context<"table">, named: readonly string[]): Promise<Read<LedgerItem>> {
  const keys = [...new Set(named)].flatMap((text) => keyOfText(text) ?? []);
  if (keys.length === 0) return { records: [], unreadable: new Set() };
  return readEach(ctx, await ctx.table.getMany(keys), parseLedgerItem);
}

function parseLedgerItem(item: Item): LedgerItem {
  return item.kind === "makeable" ? parseMakeable(item) : parseNodeLedger(item);
}

/** The ledger items that may name this environment: those of its grants, and of the machines that its run was bound to. */
export function ledgerItemsOf(ctx: Context, { placement, run, size }: Environment): readonly string[] {
  const bound = run.machines.map((machine) => keyText(nodeLedgerKey(ctx, size.pool, machine)));
  return [...new Set([...placement.ledgers, ...bound])];
}

/** What is granted in one of these items, as far as all items that it names are among them. */
export function wholeGrants(items: readonly LedgerItem[]): Grant[] {
  const byKey = new Map(items.map((item) => [keyText(item), item]));
  const grants = items.flatMap((item) => item.granted.map(readerOf(item, keyText(item)).grantIn));
  const isThere = ({ id }: Grant, item: string) => byKey.get(item)?.granted.some(({ grant }) => grant === id) ?? false;
  const whole = grants.filter((grant) => grant.items.every((item) => isThere(grant, item)));
  return [...new Map(whole.map((grant) => [grant.id, grant])).values()];
}

async function itemsOf(ctx: Context<"table">, pk: string): Promise<Item[]> {
  const items: Item[] = [];
  let after: string | undefined;
  do {
    const page = await ctx.table.query(after === undefined ? { pk } : { pk, after });
    items.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return items;
}
