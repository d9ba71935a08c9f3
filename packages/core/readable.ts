import type { Context, Item } from "./context.ts";
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
      ctx.log.error("unreadable record", { look: keyText(item) });
      unreadable.add(keyText(item));
      return [];
    }
  });
  return { records, unreadable };
}

/**
 * Those of the items that can be read, so that one broken record hides nothing else. Only for lists: whoever frees what
 * a record holds has to tell unreadable from absent (`readEach`).
 */
export function readable<Record>(ctx: Context, items: readonly Item[], parse: (item: Item) => Record): Record[] {
  return [...readEach(ctx, items, parse).records];
}
