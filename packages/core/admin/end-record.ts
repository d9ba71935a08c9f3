import type { Context } from "../context.ts";
import { isSize, parseEnvironment } from "../environments/record/parse.ts";
import type { Size } from "../environments/record/record.ts";
import { ENDED_UNREADABLE, salvage } from "../environments/verbs/recover-archive.ts";
import { poolTypes } from "../fleet.ts";
import { readLedger } from "../pools/ledger/ledger.ts";
import { emptyPool, type Grant } from "../pools/ledger/record.ts";
import type { Item, Key } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { requestReconcile } from "../reconciler/request-reconcile.ts";
import { isLedgerItem, keyOfText, keyText, kindOfKey, poolKey } from "../store/keys.ts";
import { readEach } from "../store/readable.ts";
import { uid as isUid } from "../store/shape.ts";
import { changeRecord } from "../store/write-record.ts";
import { endDisk, type Kept } from "./end-disk.ts";

/**
 * Ends an environment or a disk whose record is unreadable. Returns the kept volume and snapshots of a disk. Idempotent
 * shortly after a success. Throws `invalid` for the key of another record, and `conflict` for the key of a ledger.
 */
export async function endRecord(ctx: Context<"table" | "queue">, text: string): Promise<Kept | undefined> {
  const key = keyOfText(text);
  const kind = key && kindOfKey(key);
  if (key && kind === "environment") return endEnvironment(ctx, key);
  if (key && kind === "disk" && isUid(key.sk)) return endDisk(ctx, key);
  if (poolTypes.some((type) => keyText(poolKey(type)) === text || isLedgerItem(type, text))) {
    throw new Problem("conflict", LEDGER);
  }
  throw new Problem("invalid", "key must be the key of a job's or a disk's record: <pk>|<sk>");
}

const LEDGER =
  "A ledger cannot be ended, because it decides who holds capacity. Repair the field that the log names, or restore the item from a backup of the table";

/**
 * Ends an environment whose record is unreadable or of a newer format. The record becomes a stopping one with all
 * fields that can be salvaged, and the reconciler then ends it as usual. Throws `notFound`, or `conflict` if the record
 * is readable or its pool's ledger is not.
 */
async function endEnvironment(ctx: Context<"table" | "queue">, key: Key): Promise<undefined> {
  await changeRecord(ctx, {
    async read(): Promise<Item> {
      const item = await ctx.table.get(key);
      if (!item) throw new Problem("notFound", `There is no record ${keyText(key).slice(0, 200)}`);
      return item;
    },
    async decide(item) {
      const [knownEnvironment] = readEach(ctx, [item], parseEnvironment).records;
      if (knownEnvironment?.events.timeline.some(({ reason }) => reason === ENDED_UNREADABLE)) return undefined;
      if (knownEnvironment) {
        throw new Problem("conflict", "The record is readable: use the ordinary requests");
      }
      return salvage(ctx, item, await findEntry(ctx, item));
    },
    what: "The record is",
  });
  ctx.log.warn("unreadable record ended", { look: keyText(key) });
  await requestReconcile(ctx, key);
}

/** Returns the record's entry in the ledgers. It names the uid and the run even if the record does not. */
async function findEntry(ctx: Context<"table">, item: Item): Promise<Grant | undefined> {
  const ledgers = await Promise.all(poolTypes.map((type) => readLedger(ctx, emptyPool(ctx, type))));
  const mayName = isSize(item.size) ? ledgers.filter(({ type }) => type === (item.size as Size).pool) : ledgers;
  if (mayName.some(({ unreadable }) => unreadable.size > 0)) {
    throw new Problem("conflict", "A ledger item of its pool cannot be read, so the capacity of the record is unknown");
  }
  const entries = ledgers.flatMap(({ granted, held }) => [...held, ...granted]);
  // Another environment may have used this key.
  return entries.find((entry) => entry.key === keyText(item) && (!isUid(item.uid) || entry.uid === item.uid));
}
