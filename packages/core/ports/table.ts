/** The key of an item. Both parts are plain text; `answers` of what they hold are in keys.ts. */
export interface Key {
  readonly pk: string;
  readonly sk: string;
}

/**
 * What every stored item has: the tokens of the puts that wrote it, the newest first; none in what is not stored yet. A
 * table hands out one that names no newest writer as `NO_WRITER`'s (writers.ts).
 */
export interface Stored extends Key {
  readonly writers: readonly string[];
}

/** An item as read: nothing but its key and writers is known until a parser has looked at it. */
export interface Item extends Stored {
  readonly [field: string]: unknown;
}

export interface PartitionQuery {
  readonly pk: string;
  /** Only items whose `sk` begins with this. */
  readonly prefix?: string;
  /** The `next` of the page before. */
  readonly after?: string;
  readonly limit?: number;
  readonly newestFirst?: boolean;
  /** Answers of each item only its key and `briefOf` it: what a list of many sorts and filters by. */
  readonly brief?: boolean;
}

/** Small fields, and fields of a field, that every table keeps apart from the rest of an item, whatever its kind. */
export const briefPaths = [
  ["kind"],
  ["uid"],
  ["name"],
  ["phase"],
  ["step"],
  ["createdAt"],
  ["ttl"],
  // A list parses these of everything that its owner ever had, and the rest of `end` is as much again.
  ["end", "at"],
  ["end", "outcome"],
] as readonly (readonly [field: string, ...inner: string[]])[];

/** Those of them that the item has. */
export function briefOf(item: Stored): Readonly<Record<string, unknown>> {
  const brief: Record<string, unknown> = {};
  for (const [field, inner] of briefPaths) {
    const value = (item as Item)[field];
    if (inner === undefined && value !== undefined) brief[field] = value;
    if (inner === undefined || !hasField(value, inner)) continue;
    brief[field] = { ...(brief[field] as object | undefined), [inner]: value[inner] };
  }
  return brief;
}

function hasField<Name extends string>(value: unknown, name: Name): value is Readonly<Record<Name, unknown>> {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name);
}

export type IndexName = "due" | "waiting";

export interface IndexQuery {
  readonly index: IndexName;
  readonly partition: string;
  /** Only entries whose sort value is at least this: a number for `due`, text for `waiting`. */
  readonly from?: number | string;
  /** Only entries whose sort value is at most this, and so not below `from`. */
  readonly to?: number | string;
  readonly after?: string;
  readonly limit?: number;
}

/** A range of an index, and how many of its entries are counted at most. */
export type IndexRange = Pick<IndexQuery, "index" | "partition" | "from" | "to"> & { readonly limit: number };

/** One of the items of a `putAll`, and on what condition; as in `put`. */
export interface ConditionalPut {
  readonly item: Stored;
  readonly ifWriter: string | null;
}

/** DynamoDB takes 100 in one transaction; no decision of the core needs more than these. */
export const MOST_PUT_AT_ONCE = 25;

export interface Page {
  readonly items: Item[];
  /** Present while there is more. Opaque: hand it back as `after`. */
  readonly next?: string;
}

/**
 * The records. Reads by key and by partition are consistent; the two indexes may be late
 * (docs/architecture/table.md). `put` replaces the whole item: `ifWriter` null means that it must be absent, a
 * token that its newest writer must still be that one (or nobody's), none that it is written whatever was there. Throws
 * `Conflict` when the condition does not hold, which may be the effect of the very same put, repeated below
 * (write-record.ts).
 */
export interface Table {
  get(key: Key): Promise<Item | undefined>;
  /** Consistent, in any number; what is absent is left out and the order is not kept. */
  getMany(keys: readonly Key[]): Promise<Item[]>;
  put(item: Stored, options?: { readonly ifWriter?: string | null }): Promise<void>;
  putAll(puts: readonly ConditionalPut[]): Promise<void>;
  remove(key: Key, options: { readonly ifWriter: string }): Promise<void>;
  query(query: PartitionQuery | IndexQuery): Promise<Page>;
  /** How many entries the range has, counted up to its limit. */
  count(range: IndexRange): Promise<number>;
  /**
   * Returns by how many ms the clock of this process is ahead of the store's at least, by the newest answer; negative:
   * behind. Returns undefined if no recent answer told. Absent if the store has no clock of its own.
   */
  clockAheadMs?(): number | undefined;
}
