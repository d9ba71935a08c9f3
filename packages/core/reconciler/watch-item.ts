import type { Context } from "../context.ts";
import type { Item, Stored } from "../ports/table.ts";
import { watchKey } from "../store/keys.ts";
import { isNewer, Unreadable } from "../store/unreadable.ts";
import { writeRecord } from "../store/write-record.ts";

/** The process that follows the cluster's changes, and the position from which the next one continues. */
export interface WatchItem extends Stored {
  readonly kind: "watch";
  /** null if no process follows. */
  readonly holder: string | null;
  /** Another process may take over after this time, ms, or if the holder has not written for `LEASE_MS`. */
  readonly until: number;
  /** All changes up to this version were passed on. null: the next holder begins with all existing runs. */
  readonly version: string | null;
}

/** A holder that has not written for this long is dead. */
export const LEASE_MS = 90_000;
const LONGEST_VERSION = 1_000;

/**
 * Returns the watch item, or undefined if no process ever followed. Invalid fields count as no holder. Throws
 * `Unreadable` for a newer format: that version follows.
 */
export async function readWatch(ctx: Context<"table">): Promise<WatchItem | undefined> {
  const item = await ctx.table.get(watchKey);
  if (item && isNewer(item)) throw new Unreadable("watch", item, "a newer version follows the changes");
  return item && getWatch(item);
}

/** Writes the watch item. Returns undefined on a conflict. Throws if the table does not answer. */
export function writeWatch(
  ctx: Context<"table">,
  before: WatchItem | undefined,
  { holder, version }: Pick<WatchItem, "holder" | "version">,
): Promise<WatchItem | undefined> {
  const until = holder === null ? 0 : ctx.clock.now() + LEASE_MS;
  return writeRecord<WatchItem>(ctx, {
    ...watchKey,
    writers: before?.writers ?? [],
    kind: "watch",
    holder,
    until,
    version: version !== null && version.length <= LONGEST_VERSION ? version : null,
  });
}

function getWatch({ writers, holder, until, version }: Item): WatchItem {
  return {
    ...watchKey,
    writers,
    kind: "watch",
    holder: typeof holder === "string" ? holder : null,
    until: typeof until === "number" ? until : 0,
    version: typeof version === "string" ? version : null,
  };
}
