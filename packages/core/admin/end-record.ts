import type { Context, Item, Key } from "../context.ts";
import { isSize, parseEnvironment } from "../environments/parse.ts";
import { salvage } from "../environments/salvage.ts";
import { poolTypes } from "../fleet.ts";
import { keyOfText, keyText, kindOfKey, poolKey } from "../keys.ts";
import { sendLook } from "../look.ts";
import { parsePool } from "../pools/parse.ts";
import type { Grant } from "../pools/record.ts";
import { Problem } from "../problem.ts";
import { readEach } from "../readable.ts";
import { uid as isUid } from "../shape.ts";
import { Unreadable } from "../unreadable.ts";
import { changeRecord } from "../write-record.ts";

/**
 * Ends an environment whose record cannot be read, one of a newer format too: it becomes a record that stops, with what
 * could be made out of it, and reconcile removes what it has in the order of every end. Throws `invalid` for a text that
 * names no environment, `notFound`, or `conflict` when the record can be read or its pool's ledger cannot.
 */
export async function endRecord(ctx: Context<"table" | "queue">, text: string): Promise<void> {
  const key = environmentKeyOf(text);
  await changeRecord(ctx, {
    async read(): Promise<Item> {
      const item = await ctx.table.get(key);
      if (!item) throw new Problem("notFound", `There is no record ${text.slice(0, 200)}`);
      return item;
    },
    async decide(item) {
      if (isReadable(item)) {
        throw new Problem("conflict", "The record can be read: end what it describes by the ordinary requests");
      }
      return salvage(ctx, item, await findEntry(ctx, item));
    },
    what: "The record is",
  });
  ctx.log.warn("unreadable record ended", { look: keyText(key) });
  await sendLook(ctx, key);
}

function environmentKeyOf(text: string): Key {
  const key = keyOfText(text);
  if (key && kindOfKey(key) === "environment") return key;
  throw new Problem("invalid", "key must be the key of an environment's record: <pk>|<sk>");
}

function isReadable(item: Item): boolean {
  try {
    parseEnvironment(item);
    return true;
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return false;
  }
}

/** What the ledgers say that it was granted or holds: they name its life and its run even where the record does not. */
async function findEntry(ctx: Context<"table">, item: Item): Promise<Grant | undefined> {
  const { records, unreadable } = readEach(ctx, await ctx.table.getMany(poolTypes.map(poolKey)), parsePool);
  const named = isSize(item.size) ? keyText(poolKey(item.size.pool)) : undefined;
  if (named === undefined ? unreadable.size > 0 : unreadable.has(named)) {
    throw new Problem("conflict", "The ledger of its pool cannot be read, so nobody knows what the record holds");
  }
  const entries = records.flatMap(({ granted, held }) => [...held, ...granted]);
  // Another life may have had this key.
  return entries.find((entry) => entry.key === keyText(item) && (!isUid(item.uid) || entry.uid === item.uid));
}
