import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ManualClock, manualClock } from "#tests/fixtures/clock.ts";
import { type Database, openDatabase, writeCheck } from "./database.ts";
import type { SyncFile } from "./sync.ts";

let home: string;
let clock: ManualClock;
let databases: Database[];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-check-"));
  clock = manualClock();
  databases = [];
});

afterEach(() => {
  for (const database of databases) database.close();
  rmSync(home, { recursive: true });
});

/** Database, its check, and the number of writes. */
function open(syncFile?: SyncFile) {
  const database = openDatabase(join(home, "records.db"), syncFile);
  databases.push(database);
  let writes = 0;
  const counted: Database = {
    ...database,
    write(work) {
      writes += 1;
      return database.write(work);
    },
  };
  return { database, check: writeCheck({ database: counted, clock }), writes: () => writes };
}

const limitPages = (database: Database, pages: number) =>
  void database.prepare(`PRAGMA max_page_count = ${pages}`).get();
const getPages = (database: Database) => Number(database.prepare("PRAGMA page_count").get()?.page_count);
const full = "The disk of this stack is full: nothing can be stored until there is room";

test("a full disk is noticed without writes, and so is freed space", async () => {
  const { database, check } = open();
  limitPages(database, getPages(database));

  const before = await check();
  limitPages(database, 1_000_000);
  clock.advance(1_000);
  const after = await check();

  expect([before, after]).toEqual([full, undefined]);
});

test("a refused write counts at once, until one succeeds", async () => {
  const { database, check } = open();
  const atFirst = await check();
  database.prepare("PRAGMA query_only = ON").get();

  await expect(database.write(() => database.prepare("DELETE FROM items").run())).rejects.toThrow("read-only");
  const refused = await check();
  database.prepare("PRAGMA query_only = OFF").get();
  clock.advance(1_000);
  const again = await check();

  expect([atFirst, refused, again]).toEqual([
    undefined,
    "The disk of this stack is read-only: nothing can be stored",
    undefined,
  ]);
});

test("a small successful write does not hide a lack of space for a record", async () => {
  const { database, check } = open();
  limitPages(database, getPages(database));
  const refused = await check();

  await database.write(() => database.prepare("PRAGMA user_version = 1").run());

  expect([refused, await check()]).toEqual([full, full]);
});

test("the disk is tested once in 5 s, and once a second while it refuses, for any number of callers", async () => {
  const { database, check, writes } = open();
  await Promise.all([check(), check(), check()]);
  clock.advance(4_999);
  await check();
  const numbers = [writes()];

  clock.advance(1);
  limitPages(database, getPages(database));
  database.prepare("PRAGMA query_only = ON").get();
  await check();
  await check();
  numbers.push(writes());
  clock.advance(1_000);
  await Promise.all([check(), check()]);
  numbers.push(writes());

  expect(numbers).toEqual([1, 2, 3]);
});

test("a slow disk counts as writable", async () => {
  let finish = () => {};
  const { check } = open((_, done) => {
    finish = () => done(null);
  });

  const meanwhile = await check();
  finish();

  expect(meanwhile).toBeUndefined();
});

test("a failed disk is reported until the next start", async () => {
  const { check } = open((_, done) => done(new Error("EIO")));
  const text = "The disk of this stack failed during a write: start the stack again";

  const first = await check();
  clock.advance(60_000);

  expect([first, await check()]).toEqual([text, text]);
});

test("another program's lock is reported until it ends", async () => {
  const { check } = open();
  const otherSync = new DatabaseSync(join(home, "records.db"));
  otherSync.exec("BEGIN IMMEDIATE");

  const held = await check();
  otherSync.close();
  clock.advance(1_000);

  expect([held, await check()]).toEqual([
    "Another program writes to the records of this stack: nothing can be stored until it is done",
    undefined,
  ]);
});
