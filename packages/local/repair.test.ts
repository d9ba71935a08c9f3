import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type DynaliteStore, type IndexDb } from "dynalite/db/index.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dynamoClient, dynamoTable } from "#aws/table.ts";
import type { Item } from "#core/context.ts";
import { type Emulator, ensureTable, startDynamoDb } from "./dynamodb.ts";
import { repairIndexes } from "./repair.ts";

const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
let path: string;
let emulator: Emulator;

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), "berth-repair-"));
  emulator = await startDynamoDb({ path });
});

afterEach(async () => {
  await emulator.stop();
  rmSync(path, { recursive: true });
});

const kept = { pk: "kept", sk: "-", writers: ["w1"], dueShard: "0", dueAt: 5, waitPool: "h100", waitOrder: "1" };
const other = { pk: "other", sk: "-", writers: ["w1"], dueShard: "0", dueAt: 6 };
const ended = { pk: "ended", sk: "-", writers: ["w1"], dueShard: "0" };

function open() {
  const client = dynamoClient({ endpoint: emulator.endpoint, region: "us-east-1", credentials });
  return { client, table: dynamoTable({ client, tableName: "berth" }) };
}

async function fill(): Promise<void> {
  const { client, table } = open();
  await ensureTable(client, "berth");
  for (const item of [kept, other, ended]) await table.put(item);
  client.destroy();
}

/** Changes an index behind the emulator's back, as a write that was cut in the middle leaves it. */
async function tamper(index: string, change: (db: IndexDb) => Promise<void>): Promise<void> {
  await emulator.stop();
  const store: DynaliteStore = create({ path });
  await change(store.getIndexDb("global", "berth", index));
  await new Promise((resolve) => store.db.close(resolve));
  emulator = await startDynamoDb({ path });
}

async function keysOf(db: IndexDb): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of db.createKeyStream()) keys.push(String(key));
  return keys;
}

const call = (act: (done: (error?: unknown) => void) => void) =>
  new Promise<void>((resolve, reject) => act((error) => (error ? reject(error) : resolve())));

async function due(): Promise<Item[]> {
  const { client, table } = open();
  const { items } = await table.query({ index: "due", partition: "0" });
  client.destroy();
  return items;
}

async function repair(): Promise<number> {
  const { client } = open();
  const wrong = await repairIndexes(client, "berth");
  client.destroy();
  return wrong;
}

describe("repairing the indexes", () => {
  it("shows an item again whose entry was lost", async () => {
    await fill();
    await tamper("due", async (db) => {
      for (const key of await keysOf(db)) await call((done) => db.del(key, done));
    });
    const before = await due();

    const wrong = await repair();

    expect([before.length, wrong]).toEqual([0, 2]);
    expect((await due()).map(({ pk }) => pk)).toEqual(["kept", "other"]);
  });

  it("takes away entries of items that are otherwise, or not there", async () => {
    await fill();
    const { client, table } = open();
    await table.put({ pk: "gone", sk: "-", writers: ["w1"], ...{ dueShard: "0", dueAt: 7 } });
    await table.put({ ...ended, ...{ dueAt: 8 } });
    client.destroy();
    const entries: [string, unknown][] = [];
    await tamper("due", async (db) => {
      const values: unknown[] = [];
      for await (const value of db.createValueStream({})) values.push(value);
      entries.push(...(await keysOf(db)).map((key, at): [string, unknown] => [key, values[at]]));
    });
    const later = open();
    await later.table.remove({ pk: "gone", sk: "-" }, { ifWriter: "w1" });
    await later.table.put(ended);
    later.client.destroy();
    await tamper("due", async (db) => {
      for (const [key, value] of entries) await call((done) => db.put(key, value, done));
    });
    const before = await due();

    const wrong = await repair();

    expect([before.length, wrong]).toEqual([4, 2]);
    expect((await due()).map(({ pk }) => pk)).toEqual(["kept", "other"]);
    const { client: last, table: repaired } = open();
    expect(await repaired.get(ended)).toEqual(ended);
    expect(await repaired.get({ pk: "gone", sk: "-" })).toBeUndefined();
    last.destroy();
  });

  it("touches nothing where all is well", async () => {
    await fill();

    expect(await repair()).toBe(0);
  });
});
