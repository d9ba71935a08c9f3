import type { Context } from "../context.ts";
import type { Item, Stored } from "../ports/table.ts";
import { watchKey } from "../store/keys.ts";
import { isNewer, Unreadable } from "../store/unreadable.ts";
import { writeRecord } from "../store/write-record.ts";

/** Who follows the changes of the cluster, and where the next one goes on. */
export interface WatchItem extends Stored {
  readonly kind: "watch";
  /** null: nobody. */
  readonly holder: string | null;
  /** Somebody else may follow from then on, ms, or once the holder has not written for as long. */
  readonly until: number;
  /** Up to there every change was passed on; null: the next holder begins with every run that there is. */
  readonly version: string | null;
}

/** A holder that has not written for so long is dead. */
export const HELD_MS = 90_000;
const LONGEST_VERSION = 1_000;

/**
 * undefined: nobody ever followed. Where a hand or a bug wrote something else, nobody holds it. Throws
 * `Unreadable` for what a newer version wrote: that version follows.
 */
export async function readWatch(ctx: Context<"table">): Promise<WatchItem | undefined> {
  const item = await ctx.table.get(watchKey);
  if (item && isNewer(item)) throw new Unreadable("watch", item, "a newer version follows the changes");
  return item && watchOf(item);
}

/** Throws where the table does not answer; undefined: somebody else was faster. */
export function writeWatch(
  ctx: Context<"table">,
  before: WatchItem | undefined,
  { holder, version }: Pick<WatchItem, "holder" | "version">,
): Promise<WatchItem | undefined> {
  const until = holder === null ? 0 : ctx.clock.now() + HELD_MS;
  return writeRecord<WatchItem>(ctx, {
    ...watchKey,
    writers: before?.writers ?? [],
    kind: "watch",
    holder,
    until,
    version: version !== null && version.length <= LONGEST_VERSION ? version : null,
  });
}

function watchOf({ writers, holder, until, version }: Item): WatchItem {
  return {
    ...watchKey,
    writers,
    kind: "watch",
    holder: typeof holder === "string" ? holder : null,
    until: typeof until === "number" ? until : 0,
    version: typeof version === "string" ? version : null,
  };
}
