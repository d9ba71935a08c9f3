import type { Clock } from "#core/ports/clock.ts";
import type { IndexName, IndexQuery, IndexRange, Item, Page } from "#core/ports/table.ts";
import { copyOfData } from "../fixtures/plain-data.ts";

/** Size at which DynamoDB ends a page even without a limit. */
export const MOST_PAGE_BYTES = 1_000_000;

interface Entry {
  readonly partition: string;
  readonly sort: number | string;
  readonly item: Item;
}

interface Past {
  readonly at: number;
  readonly entry: Entry | undefined;
}

export interface MemoryIndexOptions {
  readonly clock: Pick<Clock, "now"> | undefined;
  readonly random: () => number;
  readonly latenessMs: number;
}

export interface MemoryIndex {
  /** Records the new item under this key; undefined: it is gone. */
  record(key: string, item: Item | undefined): void;
  query(query: IndexQuery): Page;
  count(range: IndexRange): number;
}

/**
 * Sparse index. With a lateness, each query serves each key as of a random moment of that span. Like the replicas of a
 * DynamoDB index, this is not monotonic.
 */
export function memoryIndex(name: IndexName, options: MemoryIndexOptions): MemoryIndex {
  const store = options.latenessMs > 0 ? lateStore(options) : presentStore();
  return {
    record: (key, item) => store.record(key, item && findEntry(name, item)),
    query: (query) => buildPage(store.entries(query.partition), query),
    count: (range) => Math.min(range.limit, inRange(store.entries(range.partition), range).length),
  };
}

const shapes = {
  due: { partition: "dueShard", sort: "dueAt", sortType: "number", projected: ["dueShard", "dueAt"] },
  waiting: {
    partition: "waitPool",
    sort: "waitOrder",
    sortType: "string",
    projected: ["waitPool", "waitOrder", "uid", "owner", "size", "zone", "createdAt"],
  },
} as const satisfies Record<IndexName, unknown>;

function findEntry(name: IndexName, item: Item): Entry | undefined {
  const shape = shapes[name];
  const partition = item[shape.partition];
  const sort = item[shape.sort];
  if (typeof partition !== "string" || partition === "") return undefined;
  if (typeof sort !== shape.sortType || sort === "") return undefined;
  const projected: Record<string, unknown> = {};
  for (const field of shape.projected) if (item[field] !== undefined) projected[field] = copyOfData(item[field]);
  return { partition, sort: sort as Entry["sort"], item: { pk: item.pk, sk: item.sk, writers: [], ...projected } };
}

interface EntryStore {
  record(key: string, entry: Entry | undefined): void;
  entries(partition: string): Iterable<Entry>;
}

function presentStore(): EntryStore {
  const partitions = new Map<string, Map<string, Entry>>();
  const partitionOfKey = new Map<string, string>();
  return {
    record(key, entry) {
      const before = partitionOfKey.get(key);
      if (before !== undefined) partitions.get(before)?.delete(key);
      partitionOfKey.delete(key);
      if (!entry) return;
      partitionOfKey.set(key, entry.partition);
      const partition = partitions.get(entry.partition) ?? new Map<string, Entry>();
      partitions.set(entry.partition, partition.set(key, entry));
    },
    entries: (partition) => partitions.get(partition)?.values() ?? [],
  };
}

function lateStore({ clock, random, latenessMs }: MemoryIndexOptions): EntryStore {
  if (!clock) throw new Error("A late index needs a clock");
  const pasts = new Map<string, Past[]>();
  const seen = (key: string, past: Past[]): Entry | undefined => {
    const oldest = clock.now() - latenessMs;
    while (past[1] && past[1].at <= oldest) past.shift();
    if (past.length === 1 && past[0]?.entry === undefined && past[0] && past[0].at <= oldest) pasts.delete(key);
    const instant = oldest + random() * latenessMs;
    return past.findLast(({ at }) => at <= instant)?.entry;
  };
  return {
    record(key, entry) {
      const past = pasts.get(key);
      if (past) past.push({ at: clock.now(), entry });
      else if (entry) pasts.set(key, [{ at: clock.now(), entry }]);
    },
    entries(partition) {
      const found: Entry[] = [];
      for (const [key, past] of pasts) {
        const entry = seen(key, past);
        if (entry?.partition === partition) found.push(entry);
      }
      return found;
    },
  };
}

function inRange(entries: Iterable<Entry>, { from, to }: Pick<IndexQuery, "from" | "to">): Entry[] {
  const found: Entry[] = [];
  for (const entry of entries) {
    if ((from === undefined || entry.sort >= from) && (to === undefined || entry.sort <= to)) found.push(entry);
  }
  return found;
}

function buildPage(entries: Iterable<Entry>, query: IndexQuery): Page {
  const { after, limit } = query;
  const found = inRange(entries, query);
  // A sweep queries all shards, most of which are empty.
  if (found.length === 0) return { items: [] };
  found.sort(compareEntries);
  const start = after === undefined ? 0 : found.findIndex((entry) => isAfter(entry, after));
  if (start < 0) return { items: [] };
  const page = upToMostBytes(found.slice(start, limit === undefined ? undefined : start + limit));
  const items = page.map(({ item }) => copyOfData(item));
  const last = page.at(-1);
  return last && start + page.length < found.length ? { items, next: getCursor(last) } : { items };
}

function upToMostBytes(entries: Entry[]): Entry[] {
  if (entries.length <= FEW_ENTRIES) return entries;
  let bytes = 0;
  const last = entries.findIndex(({ item }) => {
    bytes += Buffer.byteLength(JSON.stringify(item));
    return bytes >= MOST_PAGE_BYTES;
  });
  return last < 0 ? entries : entries.slice(0, last + 1);
}

// So few entries never fill a page, since no projected field has more than 10 KB.
const FEW_ENTRIES = 50;

function isAfter(entry: Entry, cursor: string): boolean {
  const [sort, pk, sk] = JSON.parse(cursor) as [Entry["sort"], string, string];
  return compareEntries(entry, { partition: entry.partition, sort, item: { pk, sk, writers: [] } }) > 0;
}

function getCursor({ sort, item }: Entry): string {
  return JSON.stringify([sort, item.pk, item.sk]);
}

function compareEntries(a: Entry, b: Entry): number {
  return compare(a.sort, b.sort) || compare(a.item.pk, b.item.pk) || compare(a.item.sk, b.item.sk);
}

function compare(a: number | string, b: number | string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
