import type { Context } from "../context.ts";
import type { Item } from "../ports/table.ts";
import { keyText } from "./keys.ts";
import { Unreadable } from "./unreadable.ts";

/** What reading several items found. An item that is there and cannot be read is neither a record nor absent. */
export interface Read<Record> {
  readonly records: readonly Record[];
  /** The keys of those that cannot be read, as a message carries them. */
  readonly unreadable: ReadonlySet<string>;
}

/** Reads each of the items; those that cannot be read are logged and named. */
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

/** What was read; undefined where it is there and cannot be read, which is logged. */
export async function unlessUnreadable<Found>(ctx: Context, read: () => Promise<Found>): Promise<Found | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    note(ctx, error);
    return undefined;
  }
}

/** The same, but what a newer version wrote is thrown: only that version knows what follows from it. */
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
 * Those of the items that can be read, so that one broken record hides nothing else. Only for lists: whoever frees what
 * a record holds has to tell unreadable from absent (`readEach`).
 */
export function readable<Record>(ctx: Context, items: readonly Item[], parse: (item: Item) => Record): Record[] {
  return [...readEach(ctx, items, parse).records];
}
