import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import {
  type IndexQuery,
  type IndexRange,
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
import { computeChecksum } from "./damage.ts";
import type { Database } from "./database.ts";

/** DynamoDB's item limit. This table counts the bytes of the JSON, which is close enough. */
const MOST_ITEM_BYTES = 400 * 1024;
/** DynamoDB ends a page after 1 MB. */
const MOST_PAGE_BYTES = 1_000_000;

const columns = "pk, sk, writer, due_shard, due_at, wait_pool, wait_order, waiting, brief, sum, item";

/** Implements Table on SQLite: items as JSON, with columns for conditions, indexes and brief lists, and a checksum. */
export function sqliteTable(database: Database): Table {
  // Reads the item as TEXT: a BLOB would be copied once more before it is decoded.
  const selectItem = database.prepare("SELECT CAST(item AS TEXT) AS item FROM items WHERE pk = ? AND sk = ?");
  const selectWriter = database.prepare("SELECT writer FROM items WHERE pk = ? AND sk = ?");
  const upsertItem = database.prepare(
    `INSERT OR REPLACE INTO items (${columns}) VALUES (${columns.replace(/\w+/g, "?")})`,
  );
  const deleteItem = database.prepare("DELETE FROM items WHERE pk = ? AND sk = ?");
  const readItem = ({ pk, sk }: Key) => database.read(() => findItem(selectItem.get(pk, sk)));

  const requireWriter = ({ pk, sk }: Key, ifWriter: string | null | undefined) => {
    if (ifWriter === undefined) return;
    const found = selectWriter.get(pk, sk);
    const holds = ifWriter === null ? found === undefined : found !== undefined && found.writer === ifWriter;
    if (!holds) throw new Conflict(`${pk}|${sk}`);
  };

  return {
    get: async (key) => readItem(key),
    async getMany(keys) {
      const distinct = new Map(keys.map((key) => [JSON.stringify([key.pk, key.sk]), key]));
      return [...distinct.values()].map(readItem).filter((item) => item !== undefined);
    },
    async put(item, { ifWriter } = {}) {
      const row = toRow(item);
      await database.write(() => {
        requireWriter(item, ifWriter);
        upsertItem.run(...row);
      });
    },
    async putAll(puts) {
      const keys = new Set(puts.map(({ item: { pk, sk } }) => JSON.stringify([pk, sk])));
      if (keys.size < puts.length || puts.length > MOST_PUT_AT_ONCE) {
        throw new Error(`putAll takes each item once and at most ${MOST_PUT_AT_ONCE} of them, not ${puts.length}`);
      }
      const rows = puts.map(({ item }) => toRow(item));
      await database.write(() => {
        for (const { item, ifWriter } of puts) requireWriter(item, ifWriter);
        for (const row of rows) upsertItem.run(...row);
      });
    },
    async remove({ pk, sk }, { ifWriter }) {
      await database.write(() => {
        requireWriter({ pk, sk }, ifWriter);
        deleteItem.run(pk, sk);
      });
    },
    query: async (query) =>
      database.read(() => ("index" in query ? indexPage(database, query) : partitionPage(database, query))),
    count: async (range) => database.read(() => getCount(database, range)),
  };
}

type Row = Record<string, unknown>;

function findItem(row: Row | undefined): Item | undefined {
  return row && parseItem(row.item as string);
}

function parseItem(json: string): Item {
  return withNewestWriter(JSON.parse(json) as Item);
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Throws if the item is too large or contains a number that JSON lacks. */
function toRow(item: Stored): SQLInputValue[] {
  const bytes = encoder.encode(JSON.stringify(item, refuseNonFinite));
  if (bytes.length > MOST_ITEM_BYTES) {
    const size = Math.ceil(bytes.length / 1024);
    throw new Error(`The item ${item.pk}|${item.sk} has ${size} KB; the table keeps at most 400 KB`);
  }
  const { dueShard, dueAt, waitPool, waitOrder, uid, owner, size, zone, createdAt } = item as Item;
  const due = isNonEmptyText(dueShard) && typeof dueAt === "number" ? [dueShard, dueAt] : [null, null];
  const isWaiting = isNonEmptyText(waitPool) && isNonEmptyText(waitOrder);
  const projected = { waitPool, waitOrder, uid, owner, size, zone, createdAt };
  const waiting = isWaiting ? [waitPool, waitOrder, JSON.stringify(projected)] : [null, null, null];
  const plain = [item.pk, item.sk, newestWriter(item) ?? NO_WRITER, ...due, ...waiting, JSON.stringify(toBrief(item))];
  return [...plain, computeChecksum(plain, bytes), bytes];
}

function isNonEmptyText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** Throws for NaN and infinities, which JSON would silently write as null. */
function refuseNonFinite(name: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) throw new Error(`The field ${name} is ${value}`);
  return value;
}

/** Sorts after every text with a given prefix when appended to it. */
const LAST = "\u{10ffff}";

function partitionPage(database: Database, query: PartitionQuery): Page {
  return query.brief ? briefPage(database, query) : wholePage(database, query);
}

/** Reads items one by one until the page is full, since they are large. */
function wholePage(database: Database, query: PartitionQuery): Page {
  const { where, values } = getConditions(query);
  const rows = database.prepare(`SELECT sk, item FROM items WHERE ${where}`).iterate(...values) as Iterable<Row>;
  return buildPage(rows, query.limit, {
    item: (row) => parseItem(decoder.decode(row.item as Uint8Array)),
    bytes: (row) => (row.item as Uint8Array).length,
    cursor: (row) => [row.sk],
  });
}

/** Reads only the covering index with the brief fields. */
function briefPage(database: Database, query: PartitionQuery): Page {
  const { pk, limit } = query;
  return buildPage(briefRows(database, query), limit, {
    item: ([sk, brief]) => toPartialItem({ pk, sk: String(sk) }, brief),
    bytes: ([, brief]) => String(brief).length,
    cursor: ([sk]) => [sk],
  });
}

/** Brief rows per read. More would stay in memory, and each garbage collection would copy them. */
const BRIEFS_AT_ONCE = 250;

function* briefRows(database: Database, query: PartitionQuery): Iterable<RowArray> {
  const atOnce = Math.min(query.limit ?? BRIEFS_AT_ONCE, BRIEFS_AT_ONCE);
  let { after } = query;
  for (;;) {
    const { where, values } = getConditions({ ...query, ...(after !== undefined && { after }) });
    const rows = listEntries(database, `SELECT sk, brief FROM items WHERE ${where}`, values, atOnce);
    yield* rows;
    const last = rows.at(-1);
    if (!last || rows.length <= atOnce) return;
    after = getCursor([last[0]]);
  }
}

/** Returns the conditions. The cursor replaces one bound: with both, SQLite would scan from the bound to the cursor. */
function getConditions({ pk, prefix = "", after, newestFirst = false }: PartitionQuery) {
  const cursor = after === undefined ? undefined : String(cursorParts(after)[0]);
  const cursorIsLower = cursor !== undefined && !newestFirst;
  const cursorIsUpper = cursor !== undefined && newestFirst;
  const range = `sk ${cursorIsLower ? ">" : ">="} ? AND sk ${cursorIsUpper ? "<" : "<="} ?`;
  const where = `pk = ? AND ${range} ORDER BY sk ${newestFirst ? "DESC" : "ASC"}`;
  return { where, values: [pk, cursorIsLower ? cursor : prefix, cursorIsUpper ? cursor : prefix + LAST] };
}

/** Assumed size of an entry of the `due` index, which has only the key, the shard and the time. */
const SMALL_ENTRY_BYTES = 150;

// An entry of `due` consists of its key and its two columns, so it shows no further column.
const indexes = {
  due: { partition: "due_shard", sort: "due_at", shown: "NULL", bytes: `${SMALL_ENTRY_BYTES}` },
  waiting: { partition: "wait_pool", sort: "wait_order", shown: "waiting", bytes: "length(waiting)" },
} as const;

function indexPage(database: Database, query: IndexQuery): Page {
  const { index, partition, limit } = query;
  const { sort, shown, bytes } = indexes[index];
  const { conditions, values } = getRange(query);
  const selected = `pk, sk, ${sort}, ${bytes}, ${shown}`;
  const where = `${conditions} ORDER BY ${sort}, pk, sk`;
  const rows = listEntries(database, `SELECT ${selected} FROM items WHERE ${where}`, values, limit);
  const partialItemOfRow = ([pk, sk, at, , waiting]: RowArray): Item => {
    const key = { pk: String(pk), sk: String(sk) };
    return index === "due" ? asPartialItem(key, { dueShard: partition, dueAt: at }) : toPartialItem(key, waiting);
  };
  return buildPage(rows, limit, {
    item: partialItemOfRow,
    bytes: ([, , , size]) => Number(size),
    cursor: ([pk, sk, at]) => [at, pk, sk],
  });
}

/** Counts the whole range, then applies the limit: a count that stops at the limit costs over 50 % more per entry. */
function getCount(database: Database, range: IndexRange): number {
  const { conditions, values } = getRange(range);
  const found = database.prepare(`SELECT COUNT(*) AS count FROM items WHERE ${conditions}`).get(...values);
  return Math.min(Number(found?.count), range.limit);
}

function getRange({ index, partition, from, to, after }: Omit<IndexQuery, "limit">) {
  const { partition: column, sort } = indexes[index];
  const conditions = [`${column} = ?`];
  const values: SQLInputValue[] = [partition];
  const add = (condition: string, ...parameters: SQLInputValue[]) => {
    conditions.push(condition);
    values.push(...parameters);
  };
  if (from !== undefined) add(`${sort} >= ?`, from);
  if (to !== undefined) add(`${sort} <= ?`, to);
  if (after !== undefined) add(`(${sort}, pk, sk) > (?, ?, ?)`, ...(cursorParts(after) as SQLInputValue[]));
  return { conditions: conditions.join(" AND "), values };
}

/** Columns of a row in the order of the statement. */
type RowArray = readonly SQLOutputValue[];

/** Number of the smallest entries that fit into a page, roughly. */
const MOST_ENTRIES = Math.ceil(MOST_PAGE_BYTES / SMALL_ENTRY_BYTES);

/** Reads small rows at once and as arrays, seven times as fast as one by one and as objects. */
function listEntries(database: Database, sql: string, values: SQLInputValue[], limit = MOST_ENTRIES): RowArray[] {
  const statement = database.prepare(`${sql} LIMIT ?`);
  statement.setReturnArrays(true);
  return statement.all(...values, Math.min(limit, MOST_ENTRIES) + 1) as unknown as RowArray[];
}

function toPartialItem(key: Key, part: unknown): Item {
  return asPartialItem(key, JSON.parse(String(part)) as Row);
}

/** Turns an index entry into an item, in place. Never write it back: empty `writers` mark a new item. */
function asPartialItem({ pk, sk }: Key, part: Row): Item {
  // Reuses the parsed object: thousands of copies would be half of the cost of a list.
  return Object.assign(part, { pk, sk, writers: [] }) as unknown as Item;
}

interface RowReader<From> {
  item(row: From): Item;
  bytes(row: From): number;
  cursor(row: From): unknown[];
}

/** Builds a page that ends at the limit, or where DynamoDB would end it. Sets `next` if there is more. */
function buildPage<From>(rows: Iterable<From>, wanted: number | undefined, reader: RowReader<From>): Page {
  const { item, bytes, cursor } = reader;
  const limit = Math.min(wanted ?? MOST_ENTRIES, MOST_ENTRIES);
  const items: Item[] = [];
  let readCount = 0;
  let last: From | undefined;
  for (const row of rows) {
    if (last && (items.length >= limit || readCount >= MOST_PAGE_BYTES))
      return { items, next: getCursor(cursor(last)) };
    items.push(item(row));
    readCount += bytes(row);
    last = row;
  }
  return { items };
}

function getCursor(parts: unknown[]): string {
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

function cursorParts(cursor: string): unknown[] {
  const parts: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
  if (!Array.isArray(parts)) throw new Error("That is not a cursor of this table");
  return parts;
}
