/** How many items one request fetches by default. */
export const pageSize = 100;

/** An answer with some items of a list. `total` also counts items that the server could not show. Some lists lack it. */
type Page<Field extends string, Item> = Readonly<Record<Field, Item[]>> & { readonly total?: number };

/**
 * Yields the items of all pages, each id once. An item that is created between two requests moves the later pages by one,
 * so the next page repeats an item.
 */
export async function* readPages<Field extends string, Item>(
  readPage: (query: { readonly limit: number; readonly offset: number }) => Promise<Page<Field, Item>>,
  field: Field,
  getId: (item: Item) => string,
  limit = pageSize,
): AsyncGenerator<Item> {
  const seen = new Set<string>();
  for (let offset = 0; ; offset += limit) {
    const { [field]: items, total } = await readPage({ limit, offset });
    for (const item of items) {
      const id = getId(item);
      if (seen.has(id)) continue;
      seen.add(id);
      yield item;
    }
    if (total === undefined ? items.length < limit : offset + limit >= total) return;
  }
}
