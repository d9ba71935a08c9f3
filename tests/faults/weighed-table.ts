import type { Item, Table } from "#core/ports/table.ts";

/** Amount that a table returned. */
export interface Weight {
  /** Number of whole heads of environments. */
  heads: number;
  /** Bytes of everything as JSON. */
  bytes: number;
}

/** Returns the table, and adds everything that it returns to `weight`. */
export function weighedTable(table: Table, weight: Weight): Table {
  const weigh = (items: readonly Item[], isBrief = false) => {
    for (const item of items) {
      weight.heads += item.kind === "environment" && !isBrief ? 1 : 0;
      weight.bytes += Buffer.byteLength(JSON.stringify(item));
    }
  };
  return {
    ...table,
    async get(key) {
      const item = await table.get(key);
      weigh(item ? [item] : []);
      return item;
    },
    async getMany(keys) {
      const items = await table.getMany(keys);
      weigh(items);
      return items;
    },
    async query(query) {
      const page = await table.query(query);
      weigh(page.items, "index" in query || query.brief);
      return page;
    },
  };
}

/** Stores copies of a head with other ids, each created a second before the next. */
export async function putCopies(table: Pick<Table, "put">, head: Item, count: number): Promise<void> {
  for (let n = 1; n <= count; n++) await table.put(getCopy(head, n));
}

/** Returns a copy whose ids and uids end with this number, in the same form. */
function getCopy(head: Item, n: number): Item {
  const numbered = (text: unknown) => `${String(text).slice(0, -5)}${10_000 + n}`;
  const id = numbered(head.id);
  const end = head.end as { readonly at: number | null };
  const at = end.at === null ? null : end.at - n * 1_000;
  const createdAt = Number(head.createdAt) - n * 1_000;
  return { ...head, sk: id, id, createdAt, uid: numbered(head.uid), end: { ...end, at } } as Item;
}
