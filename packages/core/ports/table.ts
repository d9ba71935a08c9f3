/** The key of an item, two texts. keys.ts builds them. */
export interface Key {
  readonly pk: string;
  readonly sk: string;
}

/**
 * The fields of every stored item. `writers` are the tokens of the puts that wrote it, newest first; empty if the item
 * is not stored yet. A stored item without a newest writer is returned with `NO_WRITER` (writers.ts).
 */
export interface Stored extends Key {
  readonly writers: readonly string[];
}

/** An item as read. Only its key and writers are known before it is parsed. */
export interface Item extends Stored {
  readonly [field: string]: unknown;
}

export interface PartitionQuery {
  readonly pk: string;
  readonly prefix?: string;
  /** The `next` of the previous page. */
  readonly after?: string;
  readonly limit?: number;
  readonly newestFirst?: boolean;
  /** Returns only the key and `toBrief` each item, which lists use to sort and filter. */
  readonly brief?: boolean;
}

/** Small fields, and fields of fields, that every table stores separately from the rest of an item. */
export const briefPaths = [
  ["kind"],
  ["uid"],
  ["name"],
  ["phase"],
  ["step"],
  ["createdAt"],
  ["ttl"],
  // A list parses these for everything that its owner ever had. The rest of `end` would double the size.
  ["end", "at"],
  ["end", "outcome"],
] as readonly (readonly [field: string, ...inner: string[]])[];

export function toBrief(item: Stored): Readonly<Record<string, unknown>> {
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
  /** Returns only entries with at least this sort value: a number for `due`, text for `waiting`. */
  readonly from?: number | string;
  /** Returns only entries with at most this sort value. */
  readonly to?: number | string;
  readonly after?: string;
  readonly limit?: number;
}

export type IndexRange = Pick<IndexQuery, "index" | "partition" | "from" | "to"> & { readonly limit: number };

export interface ConditionalPut {
  readonly item: Stored;
  readonly ifWriter: string | null;
}

/** DynamoDB allows 100 per transaction. The core never needs more than this. */
export const MOST_PUT_AT_ONCE = 25;

export interface Page {
  readonly items: Item[];
  /** Opaque. Present if there are more items; pass it as `after`. */
  readonly next?: string;
}

/**
 * The records. Reads by key and by partition are consistent; the two indexes may lag (docs/architecture/table.md).
 * `put` replaces the whole item. With `ifWriter` null the item must be absent; with a token, that must be its newest
 * writer (or it has none); without one, the put is unconditional. Throws `Conflict` if the condition fails, possibly
 * because a repeat of the same put met its own effect (write-record.ts).
 */
export interface Table {
  get(key: Key): Promise<Item | undefined>;
  /** Reads any number of items consistently. Omits absent items; the order is arbitrary. */
  getMany(keys: readonly Key[]): Promise<Item[]>;
  put(item: Stored, options?: { readonly ifWriter?: string | null }): Promise<void>;
  putAll(puts: readonly ConditionalPut[]): Promise<void>;
  remove(key: Key, options: { readonly ifWriter: string }): Promise<void>;
  query(query: PartitionQuery | IndexQuery): Promise<Page>;
  /** Counts the entries of the range, up to its limit. */
  count(range: IndexRange): Promise<number>;
  /**
   * Returns the least ms by which the clock of this process is ahead of the store's, from the last answer. Negative
   * if behind. Returns undefined without a recent answer. Absent if the store has no clock.
   */
  clockAheadMs?(): number | undefined;
}
