import type { Context } from "../context.ts";
import { isSize, parseEnvironment } from "../environments/record/parse.ts";
import type { Size } from "../environments/record/record.ts";
import { ENDED_UNREADABLE, salvage } from "../environments/verbs/salvage.ts";
import { poolTypes } from "../fleet.ts";
import { readLedger } from "../pools/ledger/ledger.ts";
import { emptyPool, type Grant } from "../pools/ledger/record.ts";
import type { Item, Key } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { sendLook } from "../reconciler/look.ts";
import { isLedgerOf, keyOfText, keyText, kindOfKey, poolKey } from "../store/keys.ts";
import { readEach } from "../store/readable.ts";
import { uid as isUid } from "../store/shape.ts";
import { changeRecord } from "../store/write-record.ts";
import { endDisk, type Kept } from "./end-disk.ts";

/**
 * Ends an environment or a disk whose record cannot be read; of a disk it answers what is kept. A repeat right after a
 * success is one too. Throws `invalid` for the key of anything else, and `conflict` for that of a ledger.
 */
export async function endRecord(ctx: Context<"table" | "queue">, text: string): Promise<Kept | undefined> {
  const key = keyOfText(text);
  const kind = key && kindOfKey(key);
  if (key && kind === "environment") return endEnvironment(ctx, key);
  if (key && kind === "disk" && isUid(key.sk)) return endDisk(ctx, key);
  if (poolTypes.some((type) => keyText(poolKey(type)) === text || isLedgerOf(type, text))) {
    throw new Problem("conflict", LEDGER);
  }
  throw new Problem("invalid", "key must be the key of a job's or a disk's record: <pk>|<sk>");
}

const LEDGER =
  "A ledger cannot be ended, since it says who holds capacity: repair the field that the log names, or put the item back from a backup of the table";

/**
 * Ends an environment whose record cannot be read, one of a newer format too: it becomes a record that stops, with what
 * could be made out of it, and reconcile removes what it has in the order of every end. Throws
 * `notFound`, or `conflict` when the record can be read or its pool's ledger cannot.
 */
async function endEnvironment(ctx: Context<"table" | "queue">, key: Key): Promise<undefined> {
  await changeRecord(ctx, {
    async read(): Promise<Item> {
      const item = await ctx.table.get(key);
      if (!item) throw new Problem("notFound", `There is no record ${keyText(key).slice(0, 200)}`);
      return item;
    },
    async decide(item) {
      const [known] = readEach(ctx, [item], parseEnvironment).records;
      if (known?.events.timeline.some(({ reason }) => reason === ENDED_UNREADABLE)) return undefined;
      if (known) {
        throw new Problem("conflict", "The record can be read: end what it describes by the ordinary requests");
      }
      return salvage(ctx, item, await findEntry(ctx, item));
    },
    what: "The record is",
  });
  ctx.log.warn("unreadable record ended", { look: keyText(key) });
  await sendLook(ctx, key);
}

/** What the ledgers say that it was granted or holds: they name its life and its run even where the record does not. */
async function findEntry(ctx: Context<"table">, item: Item): Promise<Grant | undefined> {
  const ledgers = await Promise.all(poolTypes.map((type) => readLedger(ctx, emptyPool(ctx, type))));
  const mayName = isSize(item.size) ? ledgers.filter(({ type }) => type === (item.size as Size).pool) : ledgers;
  if (mayName.some(({ unreadable }) => unreadable.size > 0)) {
    throw new Problem("conflict", "A ledger item of its pool cannot be read, so nobody knows what the record holds");
  }
  const entries = ledgers.flatMap(({ granted, held }) => [...held, ...granted]);
  // Another life may have had this key.
  return entries.find((entry) => entry.key === keyText(item) && (!isUid(item.uid) || entry.uid === item.uid));
}
