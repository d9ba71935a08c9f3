import type { Context, Item } from "./context.ts";
import { keyText } from "./keys.ts";
import { Unreadable } from "./unreadable.ts";

/** Those of the items that can be read; the others are logged, so that one broken record hides nothing else. */
export function readable<Record>(ctx: Context, items: readonly Item[], parse: (item: Item) => Record): Record[] {
  return items.flatMap((item) => {
    try {
      return [parse(item)];
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      ctx.log.error("unreadable record", { look: keyText(item) });
      return [];
    }
  });
}
