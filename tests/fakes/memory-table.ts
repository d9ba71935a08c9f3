import type { Clock } from "#core/ports/clock.ts";
import {
  type ConditionalPut,
  type Item,
  type Key,
  MOST_PUT_AT_ONCE,
  type Page,
  type PartitionQuery,
  type Stored,
  type Table,
  toBrief,
} from "#core/ports/table.ts";
import { Conflict } from "#core/problem.ts";
import { NO_WRITER, newestWriter, withNewestWriter } from "#core/store/writers.ts";
import { copyOfData, countMostBytes, frozenData } from "../fixtures/plain-data.ts";
import { MOST_PAGE_BYTES, memoryIndex } from "./memory-index.ts";

export interface MemoryTableOptions {
  readonly clock?: Pick<Clock, "now">;
  readonly random?: () => number;
  /** Age up to which indexed items are served, as of a random moment, in milliseconds; 0: never late. */
  readonly indexLatenessMs?: number;
  /**
   * Returns stored items without copies, which cost too much for some callers. `frozen` makes changes throw. `trusting`
   * is for callers that are known to change nothing.
   */
  readonly sharesItems?: "frozen" | "trusting";
}

export interface MemoryTable extends Table {
  /** Returns all stored items, for invariants. */
  all(): Item[];
}

/**
 * Table in memory. By default it shares no objects with its callers. Like DynamoDB, it refuses items above 400 KB and
 * ends pages at 1 MB.
 */
export function memoryTable({
  clock,
  random = Math.random,
  indexLatenessMs = 0,
  sharesItems,
}: MemoryTableOptions = {}): MemoryTable {
  const partitions = new Map<string, Map<string, Item>>();
  const indexOptions = { clock, random, latenessMs: indexLatenessMs };
  const indexes = { due: memoryIndex("due", indexOptions), waiting: memoryIndex("waiting", indexOptions) };
  const copy = sharesItems ? (item: Item) => item : copyOfData<Item>;
  const handOut = (item: Item) => withNewestWriter(copy(item));
  const find = ({ pk, sk }: Key) => partitions.get(pk)?.get(sk);
  const record = (key: Key, item: Item | undefined) => {
    for (const index of Object.values(indexes)) index.record(`${key.pk}|${key.sk}`, item);
  };

  const require = (item: Item, ifWriter: string | null | undefined) => {
    // This check takes a tenth of a schedule's time, so trusted callers skip it.
    if (sharesItems !== "trusting") requireRoom(item);
    requireWriter(find(item), ifWriter, item);
  };
  const ownValue = (item: Stored) => (sharesItems === "trusting" ? (item as Item) : frozenData(item as Item));
  const store = (stored: Item) => {
    const partition = partitions.get(stored.pk) ?? new Map<string, Item>();
    if (!partition.has(stored.sk)) orders.delete(partition);
    partitions.set(stored.pk, partition.set(stored.sk, stored));
    record(stored, stored);
  };

  return {
    async get(key) {
      const item = find(key);
      return item && handOut(item);
    },
    async getMany(keys) {
      const distinct = new Map(keys.map((key) => [`${key.pk}|${key.sk}`, find(key)]));
      return [...distinct.values()].filter((item) => item !== undefined).map(handOut);
    },
    async put(item, options) {
      const owned = ownValue(item);
      require(owned, options?.ifWriter);
      store(owned);
    },
    async putAll(puts) {
      requireFew(puts);
      const owned = puts.map(({ item, ifWriter }) => ({ item: ownValue(item), ifWriter }));
      for (const { item, ifWriter } of owned) require(item, ifWriter);
      for (const { item } of owned) store(item);
    },
    async remove(key, { ifWriter }) {
      requireWriter(find(key), ifWriter, key);
      const partition = partitions.get(key.pk);
      if (partition?.delete(key.sk)) orders.delete(partition);
      record(key, undefined);
    },
    query: async (query) =>
      "index" in query
        ? indexes[query.index].query(query)
        : buildPage(partitions.get(query.pk), query, query.brief ? briefItem : handOut),
    count: async (range) => indexes[range.index].count(range),
    all: () => [...partitions.values()].flatMap((partition) => [...partition.values()].map(copy)),
  };
}

function briefItem(item: Item): Item {
  return { pk: item.pk, sk: item.sk, writers: [], ...(copyOfData(toBrief(item)) as object) };
}

function requireWriter(found: Item | undefined, ifWriter: string | null | undefined, { pk, sk }: Key): void {
  if (ifWriter === undefined) return;
  const newest = found && (newestWriter(found) ?? NO_WRITER);
  const holds = ifWriter === null ? found === undefined : newest === ifWriter;
  if (!holds) throw new Conflict(`${pk}|${sk}`);
}

function requireFew(puts: readonly ConditionalPut[]): void {
  const keys = new Set(puts.map(({ item: { pk, sk } }) => `${pk}|${sk}`));
  if (keys.size === puts.length && keys.size <= MOST_PUT_AT_ONCE) return;
  throw new Error(
    `${puts.length} items in one transaction; DynamoDB takes each once, and we at most ${MOST_PUT_AT_ONCE}`,
  );
}

// Limit of DynamoDB, which includes the names of attributes.
const MOST_ITEM_BYTES = 400 * 1024;

/** Throws for an item that is too large. For most items, an estimate without JSON is enough. */
function requireRoom(item: Item): void {
  if (countMostBytes(item) <= MOST_ITEM_BYTES) return;
  const bytes = getBytes(item);
  if (bytes <= MOST_ITEM_BYTES) return;
  const size = Math.round(bytes / 1024);
  throw new Error(`The item ${item.pk}|${item.sk} has ${size} KB; DynamoDB keeps at most 400 KB`);
}

/** Sizes of stored items, which never change. A large pool is read often. */
const weights = new WeakMap<Item, number>();

function getBytes(item: Item): number {
  const knownWeight = weights.get(item);
  if (knownWeight !== undefined) return knownWeight;
  const bytes = Buffer.byteLength(JSON.stringify(item));
  weights.set(item, bytes);
  return bytes;
}

/** Ordered sort keys of partitions, until one is added or removed. */
const orders = new WeakMap<Map<string, Item>, readonly string[]>();

function getOrder(partition: Map<string, Item>): readonly string[] {
  const knownOrder = orders.get(partition);
  if (knownOrder) return knownOrder;
  const order = [...partition.keys()].sort();
  orders.set(partition, order);
  return order;
}

function buildPage(
  partition: Map<string, Item> | undefined,
  query: PartitionQuery,
  handOut: (item: Item) => Item,
): Page {
  const { prefix = "", after, limit = Number.POSITIVE_INFINITY, newestFirst = false } = query;
  // A plan queries all partitions of its pool, most of which are empty.
  if (!partition || partition.size === 0) return { items: [] };
  const order = getOrder(partition).filter((sk) => sk.startsWith(prefix));
  if (newestFirst) order.reverse();
  const rest = order.filter((sk) => after === undefined || (newestFirst ? sk < after : sk > after));
  const items: Item[] = [];
  // Sizes count only if there are enough items to fill a page.
  const mayFill = rest.length * MOST_ITEM_BYTES >= MOST_PAGE_BYTES;
  let bytes = 0;
  for (const sk of rest) {
    const item = partition.get(sk);
    if (!item) continue;
    items.push(handOut(item));
    if (mayFill) bytes += getBytes(item);
    if (items.length >= limit || bytes >= MOST_PAGE_BYTES) break;
  }
  const last = items.at(-1);
  return last && items.length < rest.length ? { items, next: last.sk } : { items };
}
