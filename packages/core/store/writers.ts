import type { Item } from "../ports/table.ts";

/**
 * The newest writer of a stored item that names none, since somebody edited its writers by hand. As a condition it holds
 * until the item is written again, and never for an absent one.
 */
export const NO_WRITER = "";

/** A stored item as a table hands it out: an empty list of writers means that an item is not stored yet. */
export function withNewestWriter(item: Item): Item {
  return newestWriterOf(item) === undefined ? { ...item, writers: [NO_WRITER] } : item;
}

/** Undefined: it names none. */
export function newestWriterOf({ writers }: { readonly writers?: unknown }): string | undefined {
  const newest: unknown = Array.isArray(writers) ? writers[0] : undefined;
  return typeof newest === "string" ? newest : undefined;
}
