import { fdatasync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Stored } from "#core/ports/table.ts";
import { manualClock } from "#tests/fixtures/clock.ts";
import { type Database, openDatabase } from "./database.ts";
import { sqliteQueue } from "./queue.ts";
import { sqliteTable } from "./table.ts";

const suffixes = ["", "-wal", "-synced"];
let home: string;
let path: string;
let database: Database;
/** Files at the last sync of the log: a disk need not hold more. */
let onDisk: Map<string, Buffer>;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-power-"));
  path = join(home, "records.db");
  onDisk = new Map();
  database = openDatabase(path, (file, done) => {
    const seen = suffixes.map((suffix) => [suffix, readOr(path + suffix)] as const);
    fdatasync(file, (error) => {
      onDisk = new Map(seen);
      done(error);
    });
  });
});

afterEach(() => {
  database.close();
  rmSync(home, { recursive: true });
});

it("a power cut loses no acknowledged record, but may lose messages sent after it", async () => {
  await sqliteTable(database).put(item("a"));
  const atAnswer = onDisk;
  await sqliteQueue({ database, clock }).send("work", { look: "a|-" });

  const found = [await seeAgain(atAnswer), await seeAgain(onDisk)];

  expect(found).toEqual([1, 2].map(() => ({ items: ["a"], messages: 0 })));
});

it("a power cut loses no message sent before an acknowledged record", async () => {
  await sqliteQueue({ database, clock }).send("work", { look: "a|-" });
  await sqliteTable(database).put(item("b"));

  expect(await seeAgain(onDisk)).toEqual({ items: ["b"], messages: 1 });
});

it("a killed stack loses neither records nor messages", async () => {
  await sqliteTable(database).put(item("a"));
  await sqliteQueue({ database, clock }).send("work", { look: "a|-" });

  const left = suffixes.map((suffix) => [suffix, readOr(path + suffix)] as const);

  expect(await seeAgain(new Map(left))).toEqual({ items: ["a"], messages: 1 });
});

const clock = manualClock();
const item = (sk: string): Stored => ({ pk: "p", sk, writers: [sk] });

/** Returns what the next stack finds in these files. */
async function seeAgain(files: ReadonlyMap<string, Buffer>) {
  const copy = join(mkdtempSync(join(home, "next-")), "records.db");
  for (const [suffix, bytes] of files) if (bytes.length > 0) writeFileSync(copy + suffix, bytes);
  const next = openDatabase(copy);
  const { items } = await sqliteTable(next).query({ pk: "p" });
  const { visible } = await sqliteQueue({ database: next, clock }).depth("work");
  next.close();
  return { items: items.map(({ sk }) => sk), messages: visible };
}

function readOr(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    return Buffer.alloc(0);
  }
}
