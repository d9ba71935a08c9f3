/** How many items one request fetches by default. */
export const pageSize = 100;

/**
 * Yields the items of all pages, each id once. An item that is created between two requests moves the later pages by one,
 * so the next page repeats an item.
 */
export async function* readPages<Field extends string, Item>(
  readPage: (query: { readonly limit: number; readonly offset: number }) => Promise<Readonly<Record<Field, Item[]>>>,
  field: Field,
  getId: (item: Item) => string,
  limit = pageSize,
): AsyncGenerator<Item> {
  const seen = new Set<string>();
  for (let offset = 0; ; offset += limit) {
    const items = (await readPage({ limit, offset }))[field];
    for (const item of items) {
      const id = getId(item);
      if (seen.has(id)) continue;
      seen.add(id);
      yield item;
    }
    if (items.length < limit) return;
  }
}
