import type { Item } from "../ports/table.ts";

/**
 * The newest writer of a stored item without one, after its writers were edited by hand. As a condition it holds until
 * the item is written again, and never for an absent item.
 */
export const NO_WRITER = "";

/** Returns an item as tables must return it. An empty list of writers would mean that the item is not stored yet. */
export function withNewestWriter(item: Item): Item {
  return newestWriter(item) === undefined ? { ...item, writers: [NO_WRITER] } : item;
}

export function newestWriter({ writers }: { readonly writers?: unknown }): string | undefined {
  const newest: unknown = Array.isArray(writers) ? writers[0] : undefined;
  return typeof newest === "string" ? newest : undefined;
}
