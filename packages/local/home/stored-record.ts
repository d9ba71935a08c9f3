import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "#aws/clock.ts";
import type { Item } from "#core/ports/table.ts";
import { keyOfText, keyText } from "#core/store/keys.ts";
import { findRunningStack } from "./home.ts";
import { openStores } from "./stores.ts";

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
