import { existsSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "#aws/clock.ts";
import { newKeyText, readKeyId } from "#aws/kms/key-file-sealer.ts";
import type { Clock } from "#core/ports/clock.ts";
import type { Queue } from "#core/ports/queue.ts";
import type { Item, Stored, Table } from "#core/ports/table.ts";
import { keyOfText, keyText, sealingKeyKey } from "#core/store/keys.ts";
import { type Writing, writeRecord } from "#core/store/write-record.ts";
import { openDatabase, writeCheck } from "#sqlite/database.ts";
import { type Receiver, sqliteQueue } from "#sqlite/queue.ts";
import { sqliteTable } from "#sqlite/table.ts";
import { findRunningStack } from "./home.ts";
import { writeOnce } from "./secret-file.ts";

export interface Stores {
  readonly table: Table;
  readonly queue: Queue & Receiver;
  /** Returns undefined if writes succeed. */
  whyNothingIsStored(): Promise<string | undefined>;
  stop(): Promise<void>;
}

/**
 * Opens the records and messages in this home, for this process only. Throws with advice if those of an earlier stack
 * are missing or damaged.
 */
export function openStores(home: string, clock: Clock): Stores {
  const path = join(home, "records.db");
  requireRecords(path, home);
  const database = openDatabase(path);
  return {
    table: sqliteTable(database),
    queue: sqliteQueue({ database, clock }),
    whyNothingIsStored: writeCheck({ database, clock }),
    stop: async () => database.close(),
  };
}

const madeLater = ["stack.json", "sealer.key", "mark", "runs", "volumes", "snapshots", "blobs"];

/** Refuses to create an empty table next to existing data: it would orphan disks and end runs. */
function requireRecords(path: string, home: string): void {
  const sign = isThere(path) ? undefined : madeLater.map((name) => join(home, name)).find(isThere);
  if (sign === undefined) return;
  throw new Error(
    `The records in ${path} are missing, and ${sign} is of an earlier stack.\n` +
      `Put them back from a copy. To give up all environments, disks and keys, move ${home} away: ` +
      "the next start makes a new one.",
  );
}

function isThere(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isDirectory() ? readdirSync(path).some((name) => name !== "lost+found") : found !== undefined;
}

interface SealingKey extends Stored {
  readonly kind: "sealing-key";
  readonly id: string;
}

/**
 * Returns the file with this home's sealing key, and creates it on the first start. Throws with advice if the records
 * were sealed with another key, because their jobs could never start.
 */
export async function sealingKey(ctx: Writing, home: string): Promise<string> {
  const file = join(home, "sealer.key");
  const knownItem = await ctx.table.get(sealingKeyKey);
  if (knownItem && !existsSync(file)) throw refusal(home, `The key ${file} is gone, which`);
  writeOnce(file, newKeyText);
  const id = readKeyId(file);
  if (knownItem && knownItem.id !== id) throw refusal(home, `The key in ${file} is not the one that`);
  const record: SealingKey = { ...sealingKeyKey, writers: [], kind: "sealing-key", id };
  if (!knownItem) await writeRecord(ctx, record);
  return file;
}

function refusal(home: string, subject: string): Error {
  const { pk } = sealingKeyKey;
  const database = join(home, "records.db");
  return new Error(
    `${subject} the records in ${database} were sealed with.\n` +
      "Put it back from a copy: without it no command, variable and token of a job can be opened.\n" +
      `To give these up and keep everything else: sqlite3 ${database} "DELETE FROM items WHERE pk = '${pk}'"`,
  );
}

/**
 * Finds records by whole key, or by the end of one (a job's id, a uid). Works while a stack runs. Throws if the home
 * holds no records.
 */
export function findStored(home: string, name: string): Item[] {
  const path = join(resolve(home), "records.db");
  if (!existsSync(path)) throw new Error(`There are no records in ${resolve(home)}: set BERTH_HOME`);
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const { pk, sk } = keyOfText(name) ?? { pk: null, sk: name };
    const rows = database.prepare("SELECT item FROM items WHERE sk = ? AND (pk = ? OR ? IS NULL)").all(sk, pk, pk);
    return rows.map(({ item }) => JSON.parse(new TextDecoder().decode(item as Uint8Array)) as Item);
  } finally {
    database.close();
  }
}

/**
 * Sets fields of one record and makes it due at once. Throws while a stack runs in the home, because both would write
 * the file.
 */
export async function setStored(home: string, key: string, fields: Readonly<Record<string, unknown>>): Promise<Item> {
  const running = findRunningStack(home);
  if (running) {
    const { pid } = running.process;
    throw new Error(
      `A stack runs in this home (pid ${pid}). End it first: kill -9 ${pid} lets its environments live on`,
    );
  }
  const [item, ...others] = findStored(home, key);
  if (!item || others.length > 0)
    throw new Error(`${others.length > 0 ? "More than one" : "No"} record is called ${key}`);
  const clock = systemClock();
  const stores = openStores(resolve(home), clock);
  try {
    const changed = { ...item, ...fields, ...(typeof item.dueAt === "number" && { dueAt: clock.now() }) };
    await stores.table.put(changed, {});
    return changed;
  } catch (error) {
    throw new Error(`${keyText(item)} was not changed`, { cause: error });
  } finally {
    await stores.stop();
  }
}
