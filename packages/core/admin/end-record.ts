import type { Context } from "../context.ts";
import { changeDirectory, findDiskName, readDirectory, without } from "../disks/names/directory.ts";
import { readHolders } from "../disks/names/lease.ts";
import { isHolder, parseDisk } from "../disks/parse.ts";
import { isSize, parseEnvironment } from "../environments/record/parse.ts";
import type { Size } from "../environments/record/record.ts";
import { ENDED_UNREADABLE, salvage } from "../environments/verbs/recover-archive.ts";
import { poolTypes } from "../fleet.ts";
import { readLedger } from "../pools/ledger/ledger.ts";
import { readByKey } from "../pools/ledger/read-by-key.ts";
import { emptyPool, type Grant } from "../pools/ledger/record.ts";
import type { Item, Key, Stored } from "../ports/table.ts";
import { Conflict, Problem } from "../problem.ts";
import { requestReconcile } from "../reconciler/request-reconcile.ts";
import {
  endedDiskKey,
  environmentsPartition,
  isLedgerItem,
  keyOfText,
  keyText,
  kindOfKey,
  ownerOfDisk,
  poolKey,
} from "../store/keys.ts";
import { readEach } from "../store/readable.ts";
import { uid as isUid } from "../store/shape.ts";
import { changeRecord, removeRecord, writeRecord } from "../store/write-record.ts";
import { listLivingKeys } from "./living.ts";

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

/** The volume and snapshots of an ended disk, as named in its record. They are not removed. */
interface Kept {
  readonly volume: string | null;
  readonly snapshots: readonly string[];
}

/** The unreadable record of an ended disk, unchanged, so that it still names the volume and the snapshots. */
interface EndedDisk extends Stored {
  readonly kind: "ended-disk";
  readonly endedAt: number;
  readonly record: Item;
}

/**
 * Frees the name of a disk whose record is unreadable or missing. The record is kept under another key, the volume and
 * the snapshots remain, and jobs that wait for the disk end as if it had been deleted. Idempotent. Throws `notFound`,
 * or `conflict` if the record is readable or a job still uses the disk.
 */
async function endDisk(ctx: Context<"table">, key: Key): Promise<Kept> {
  const owner = ownerOfDisk(key);
  const endedKey = endedDiskKey(owner, key.sk);
  const item = await ctx.table.get(key);
  const before = await ctx.table.get(endedKey);
  if (!item) {
    const isNamed = findDiskName(await readDirectory(ctx, owner), key.sk) !== undefined;
    if (!before && !isNamed) throw new Problem("notFound", `There is no record ${keyText(key).slice(0, 200)}`);
    await changeDirectory(ctx, owner, ({ names }) => without(names, key.sk));
    return toRetained(before?.record ?? {});
  }
  if (readEach(ctx, [item], parseDisk).unreadable.size === 0) {
    throw new Problem("conflict", "The record is readable: delete the disk by the ordinary request");
  }
  await refuseInUse(ctx, item);
  const ended: EndedDisk = {
    ...endedKey,
    writers: before?.writers ?? [],
    kind: "ended-disk",
    endedAt: ctx.clock.now(),
    record: item,
  };
  // In this order, a repeat after a crash finds everything that is left to do, and a record repaired in the meantime
  // keeps its name.
  if (!(await writeRecord(ctx, ended))) throw new Conflict(keyText(key));
  if (!(await removeRecord(ctx, item))) throw new Conflict(keyText(key));
  await changeDirectory(ctx, owner, ({ names }) => without(names, key.sk));
  const kept = toRetained(item);
  ctx.log.warn("unreadable record ended", { look: keyText(key), ...kept });
  return kept;
}

async function refuseInUse(ctx: Context<"table">, item: Item): Promise<void> {
  if (item.heldBy !== null && !isHolder(item.heldBy)) return refuseUsed(ctx, item);
  const next = isHolder(item.next) ? item.next : null;
  const holders = (await readHolders(ctx, [{ uid: item.sk, heldBy: item.heldBy, next }])).get(item.sk);
  if (!holders?.current || holders.current.isEnding) return;
  throw inUse("is", holders.current.id);
}

/** Reads the owner's living jobs to find one that uses the disk, because the record does not name its holder. */
async function refuseUsed(ctx: Context<"table">, item: Item): Promise<void> {
  const ofOwner = environmentsPartition(ownerOfDisk(item), "");
  const keys = (await listLivingKeys(ctx)).filter(({ pk }) => pk.startsWith(ofOwner));
  const { records, unreadable } = await readByKey(ctx, keys.map(keyText));
  const user = records.find(
    ({ disk, phase, end }) => disk?.uid === item.sk && !disk.released && phase !== "queued" && end.outcome === null,
  );
  if (user) throw inUse("is", user.id);
  const [unknown] = keys.filter((key) => unreadable.has(keyText(key)));
  if (unknown) throw inUse("may be", unknown.sk);
}

function inUse(word: string, id: string): Problem {
  return new Problem("conflict", `Disk ${word} in use by ${id}: end that first`);
}

function toRetained(record: unknown): Kept {
  const { volume, snapshots } = record as { readonly volume?: unknown; readonly snapshots?: unknown };
  const listed: readonly unknown[] = Array.isArray(snapshots) ? snapshots : [];
  return { volume: findId(volume) ?? null, snapshots: listed.flatMap((entry) => findId(entry) ?? []) };
}

function findId(thing: unknown): string | undefined {
  const id = typeof thing === "object" && thing !== null && "id" in thing ? thing.id : undefined;
  return typeof id === "string" ? id : undefined;
}
