import type { Item, Stored } from "../ports/table.ts";
import type { Check, Table } from "./shape.ts";

/** The record format of this version. Only a newer version can interpret a higher format. */
export const FORMAT = 1;

/** A record that this version cannot read and must not guess (docs/architecture/failures.md#unreadable-records). */
export class Unreadable extends Error {
  readonly kind: string;
  readonly item: Item;
  /** True if its format is higher than this version's. Such a record stays unchanged. */
  readonly isNewer: boolean;

  constructor(kind: string, item: Item, why: string) {
    super(`The ${kind} record ${item.pk}|${item.sk} cannot be read: ${why}`);
    this.name = "Unreadable";
    this.kind = kind;
    this.item = item;
    this.isNewer = isNewer(item);
  }
}

/** Rules across fields of a record. Each name completes the sentence "cannot be read:". */
export type Agreements<Record> = Readonly<{ [words: string]: (record: Record) => boolean }>;

/** The fields that every record has beside those of its table. */
export type Common = keyof Stored | "kind";

/**
 * Returns the parser for one kind of record. It throws `Unreadable` for another kind, a higher format, an invalid
 * field, or contradicting fields, so the core may rely on all of that. A postponed record that is readable again loses
 * its mark with the next write.
 */
export function createParser<Record extends Stored>(
  kind: string,
  table: Table<Omit<Record, Common>>,
  agreements: Agreements<Record> = {},
): (item: Item) => Record {
  const fields = Object.entries(table) as [string, Check<unknown>][];
  const rules = Object.entries(agreements);
  return (item) => {
    if (isNewer(item)) throw new Unreadable(kind, item, `its format is ${item.format}`);
    if (item.kind !== kind) {
      // An object may have a `toString` that is not a function.
      const found = typeof item.kind === "string" ? item.kind.slice(0, 40) : "no text";
      throw new Unreadable(kind, item, `its kind is ${found}`);
    }
    for (const [name, check] of fields) {
      if (!check(item[name])) throw new Unreadable(kind, item, `${name} is invalid`);
    }
    const record = item as unknown as Record;
    for (const [words, holds] of rules) if (!holds(record)) throw new Unreadable(kind, item, words);
    return item.poisoned === undefined ? record : { ...record, poisoned: undefined };
  };
}

export function isNewer({ format }: Item): boolean {
  return typeof format === "number" && format > FORMAT;
}
