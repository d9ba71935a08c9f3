import type { Context } from "../context.ts";
import type { Item } from "../ports/table.ts";
import { keyText } from "./keys.ts";
import { Unreadable } from "./unreadable.ts";

/** The result of reading several items. An unreadable item is neither a record nor absent. */
export interface Read<Record> {
  readonly records: readonly Record[];
  /** Keys of unreadable items, in the form that messages use. */
  readonly unreadable: ReadonlySet<string>;
}

/** Parses each item. Unreadable ones are logged and listed. */
export function readEach<Record>(ctx: Context, items: readonly Item[], parse: (item: Item) => Record): Read<Record> {
  const unreadable = new Set<string>();
  const records = items.flatMap((item) => {
    try {
      return [parse(item)];
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      note(ctx, error);
      unreadable.add(keyText(item));
      return [];
    }
  });
  return { records, unreadable };
}

/** Returns what `read` returns, or undefined if the item is unreadable, which is logged. */
export async function unlessUnreadable<Found>(ctx: Context, read: () => Promise<Found>): Promise<Found | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    note(ctx, error);
    return undefined;
  }
}

/** Like `unlessUnreadable`, but throws for a newer format, which only a newer version can interpret. */
export async function unlessPoisoned<Found>(ctx: Context, read: () => Promise<Found>): Promise<Found | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof Unreadable) || error.isNewer) throw error;
    note(ctx, error);
    return undefined;
  }
}

function note(ctx: Context, { item, isNewer, message }: Unreadable): void {
  const say = isNewer ? ctx.log.info : ctx.log.error;
  say("unreadable record", { look: keyText(item), why: message });
}

/**
 * Parses the readable items, so that one broken record hides no others. Only for lists: code that frees what a record
 * holds must tell unreadable from absent (`readEach`).
 */
export function readable<Record>(ctx: Context, items: readonly Item[], parse: (item: Item) => Record): Record[] {
  return [...readEach(ctx, items, parse).records];
}
