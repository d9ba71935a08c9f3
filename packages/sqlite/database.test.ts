import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Stored } from "#core/ports/table.ts";
import { Conflict, Problem } from "#core/problem.ts";
import { manualClock } from "#tests/fixtures/clock.ts";
import { openDatabase } from "./database.ts";
import { sqliteQueue } from "./queue.ts";
import { sqliteTable } from "./table.ts";

let home: string;
let path: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-database-"));
  path = join(home, "records.db");
});

afterEach(() => {
  rmSync(home, { recursive: true });
});

const item = (sk: string, text = ""): Stored => Object.assign({ pk: "p", sk, writers: ["w1"] }, { text });

/** File of a cleanly stopped stack, with 40 items of 4 KB. */
async function fill(): Promise<void> {
  const database = openDatabase(path);
  const table = sqliteTable(database);
  await Promise.all(Array.from({ length: 40 }, (_, n) => table.put(item(`n${n}`, `text ${n} `.repeat(400)))));
  database.close();
}

function getError(work: () => unknown): string {
  try {
    work();
    return "";
  } catch (error) {
    return String(error);
  }
}

describe("the database beside another program that writes to the file", () => {
  it("delays writes a little, then refuses them with a reason, and accepts them afterwards", async () => {
    const database = openDatabase(path);
    const table = sqliteTable(database);
    const otherSync = new DatabaseSync(path);
    otherSync.exec("BEGIN IMMEDIATE");

    const refused = table.put(item("a"));
    await expect(refused).rejects.toMatchObject({
      kind: "unavailable",
      message: "Another program writes to the records of this stack: nothing can be stored until it is done",
    });
    otherSync.exec("COMMIT");
    otherSync.close();
    await table.put(item("a"));

    expect(await table.get({ pk: "p", sk: "a" })).toEqual(item("a"));
    database.close();
  });
});

describe("the database on a disk that fails during a sync of the log", () => {
  it("refuses all writes until the next start, since their state is unknown, and says so", async () => {
    let fails = true;
    const sync = (_: number, done: (error: Error | null) => void) => done(fails ? new Error("EIO") : null);
    const database = openDatabase(path, sync);
    const table = sqliteTable(database);
    const text = "The disk of this stack failed during a write: start the stack again";

    const first = table.put(item("a"));
    await expect(first).rejects.toMatchObject({ kind: "unavailable", message: text });
    fails = false;
    const later = table.put(item("b"));

    await expect(later).rejects.toMatchObject({ kind: "unavailable", message: text });
    database.close();
  });

  it("asks the operator to free space if the disk was full", async () => {
    const full = Object.assign(new Error("no space"), { code: "ENOSPC" });
    const database = openDatabase(path, (_, done) => done(full));

    const put = sqliteTable(database).put(item("a"));

    await expect(put).rejects.toThrow(
      "The disk of this stack was full during a write: make room and start the stack again",
    );
    expect(database.refusal()).toContain("make room");
    database.close();
  });
});

describe("the database of a process without free file handles", () => {
  it("writes from the start on, and afterwards", () => {
    const program = `
      import { closeSync, openSync } from "node:fs";
      import { openDatabase } from "#sqlite/database.ts";
      import { sqliteTable } from "#sqlite/table.ts";
      const table = sqliteTable(openDatabase(${JSON.stringify(path)}));
      const put = (sk) => table.put({ pk: "p", sk, writers: ["w"] }).then(() => sk, String);
      const taken = [];
      const takeAll = () => { for (;;) taken.push(openSync("/dev/null", "r")); };
      let why;
      try { takeAll(); } catch (error) { why = error.code; }
      const without = await put("a");
      for (const file of taken) closeSync(file);
      console.log(JSON.stringify([why, without, await put("b")]));`;
    const node = [process.execPath, "--input-type=module", "--eval", program];
    const words = ["-c", 'ulimit -n 200 && exec "$@"', "sh", ...node];

    const { stdout, stderr } = spawnSync("sh", words, { cwd: import.meta.dirname, encoding: "utf8" });

    expect({ stdout: stdout.trim(), stderr }).toMatchObject({ stdout: '["EMFILE","a","b"]' });
  });
});

describe("writes of one event-loop turn", () => {
  it("run one after the other, each on the result of the one before", async () => {
    const database = openDatabase(path);
    const table = sqliteTable(database);

    const [first, second, third] = await Promise.allSettled([
      table.put(item("a"), { ifWriter: null }),
      table.put(item("a"), { ifWriter: null }),
      table.put(item("a", "next"), { ifWriter: "w1" }),
    ]);

    expect([first?.status, third?.status]).toEqual(["fulfilled", "fulfilled"]);
    expect(second).toMatchObject({ reason: expect.any(Conflict) });
    expect(await table.get({ pk: "p", sk: "a" })).toEqual(item("a", "next"));
    database.close();
  });

  it("are invisible before their commit, and visible once they are answered", async () => {
    const database = openDatabase(path);
    const table = sqliteTable(database);

    const put = table.put(item("a"));
    const before = await table.get({ pk: "p", sk: "a" });
    await put;

    expect(before).toBeUndefined();
    const otherDatabase = openDatabase(path);
    expect(await sqliteTable(otherDatabase).get({ pk: "p", sk: "a" })).toEqual(item("a"));
    for (const each of [otherDatabase, database]) each.close();
  });

  it("are committed by a close before their commit; later ones are refused", async () => {
    const database = openDatabase(path);
    const put = sqliteTable(database).put(item("a"));

    database.close();
    await put;

    await expect(database.write(() => undefined)).rejects.toThrow("The stack is stopping");
    const again = openDatabase(path);
    expect(await sqliteTable(again).get({ pk: "p", sk: "a" })).toEqual(item("a"));
    again.close();
  });
});

describe("the database on a full disk", () => {
  it("refuses all writes of the turn with the reason, keeps the records, and accepts writes again afterwards", async () => {
    const database = openDatabase(path);
    const table = sqliteTable(database);
    await table.put(item("kept"));
    // SQLite's own limit acts like a full disk.
    const pages = Number(database.prepare("PRAGMA page_count").get()?.page_count);
    database.prepare(`PRAGMA max_page_count = ${pages}`).get();

    const large = item("large", "x".repeat(100_000));
    const outcomes = await Promise.allSettled([
      table.put(item("small")),
      table.put(large),
      table.put(item("kept", "new")),
    ]);
    database.prepare("PRAGMA max_page_count = 1000000").get();

    const reason = new Problem(
      "unavailable",
      "The disk of this stack is full: nothing can be stored until there is room",
    );
    expect(outcomes).toMatchObject(Array(3).fill({ status: "rejected", reason }));
    expect(await table.getMany(["small", "large", "kept"].map((sk) => ({ pk: "p", sk })))).toEqual([item("kept")]);
    await table.put(large);
    expect(await table.get(large)).toEqual(large);
    database.close();
  });

  it("reports that a file is read-only", async () => {
    const database = openDatabase(path);
    database.prepare("PRAGMA query_only = ON").get();

    const put = sqliteTable(database).put(item("a"));

    await expect(put).rejects.toThrow("The disk of this stack is read-only: nothing can be stored");
    database.close();
  });
});

describe("a damaged file", () => {
  const change = (edit: (bytes: Buffer) => void) => {
    const bytes = readFileSync(path);
    edit(bytes);
    writeFileSync(path, bytes);
  };

  it.each<[string, (bytes: Buffer) => void]>([
    ["that is not a database", (bytes) => bytes.fill("garbage ")],
    ["with a page of zeros", (bytes) => bytes.fill(0, 8192, 12_288)],
    ["with a letter of a record changed", (bytes) => bytes.write("TEXT 7 text", bytes.indexOf("text 7 text"))],
    ["with zeros in its second half", (bytes) => bytes.fill(0, bytes.length / 2)],
  ])("%s is refused at the start, with its path and what to do", async (_, edit) => {
    await fill();
    change(edit);

    expect(() => openDatabase(path)).toThrow(`The records in ${path} are damaged: `);
    expect(() => openDatabase(path)).toThrow("Restore a copy of it");
  });

  it.each([0, 4096, 20_000])("truncated to %i bytes is refused, and never treated as a new one", async (left) => {
    await fill();

    truncateSync(path, left);

    expect(() => openDatabase(path)).toThrow(`The records in ${path} are damaged: `);
    expect(statSync(path).size).toBe(left);
  });

  it.each([
    ["UPDATE items SET writer = 'x' WHERE sk = 'n7'", "p|n7 of items"],
    ["UPDATE items SET due_at = 7, due_shard = '1' WHERE sk = 'n8'", "p|n8 of items"],
    [`UPDATE messages SET look = '{"look":"b|-"}'`, "1 of messages"],
    ["UPDATE messages SET queue = 'none'", "1 of messages"],
  ])("names the row in which a byte has changed: %s", async (change, row) => {
    await fill();
    const database = openDatabase(path);
    await sqliteQueue({ database, clock: manualClock() }).send("work", { look: "a|-" });
    database.close();
    const otherSync = new DatabaseSync(path);
    otherSync.exec(change);
    otherSync.close();

    const said = getError(() => openDatabase(path));
    const by = new DatabaseSync(path);
    by.exec(/sqlite3 \S+ "(DELETE FROM [^"]+)"/.exec(said)?.[1] ?? "");
    by.close();

    expect(said).toContain(`The records in ${path} are damaged: ${row} has changed since it was stored`);
    openDatabase(path).close();
  });

  describe("with a log that was not checkpointed", () => {
    const files = () => ({ log: `${path}-wal`, mark: `${path}-synced` });

    /**
     * Files of a stack after a power cut: the log holds a commit for each of 40 items, of which the first
     * `acknowledged` were acknowledged.
     */
    async function crash(acknowledged: number): Promise<void> {
      const database = openDatabase(path);
      const table = sqliteTable(database);
      const { log, mark } = files();
      const put = async (n: number) => table.put(item(`n${n}`, `text ${n} `.repeat(400)));
      for (let n = 0; n < acknowledged; n += 1) await put(n);
      const marked = readFileSync(mark);
      for (let n = acknowledged; n < 40; n += 1) await put(n);
      const copies = [path, log].map((file) => [file, readFileSync(file)] as const);
      database.close();
      for (const [file, bytes] of [...copies, [mark, marked] as const]) writeFileSync(file, bytes);
    }
    /** Zeros in a part of the log, like blocks that were not written yet. */
    const holeIn = (file: string, from: number, to: number) => {
      const bytes = readFileSync(file);
      writeFileSync(file, bytes.fill(0, Math.floor(bytes.length * from), Math.floor(bytes.length * to)));
    };
    const itemsLeft = async () => {
      const database = openDatabase(path);
      const { items } = await sqliteTable(database).query({ pk: "p" });
      database.close();
      return items.length;
    };

    it("opens with all writes in the log", async () => {
      await crash(40);

      expect(await itemsLeft()).toBe(40);
    });

    it("opens although a power cut left holes in unacknowledged commits", async () => {
      await crash(20);
      holeIn(files().log, 0.6, 0.8);

      expect(await itemsLeft()).toBeGreaterThanOrEqual(20);
    });

    it.each([
      ["in the middle of the synced part", 0.2, 0.21],
      ["in the last commit that was on the disk", 0.97, 0.99],
      ["in its header", 0, 0.0001],
    ])("is refused if bytes %s have changed", async (_, from, to) => {
      await crash(40);
      holeIn(files().log, from, to);

      expect(() => openDatabase(path)).toThrow(`are damaged: commits in ${files().log} cannot be read`);
      expect(() => openDatabase(path)).toThrow("Restore a copy of it");
    });

    it("is refused if its log is lost with acknowledged commits, and stays unchanged", async () => {
      await crash(40);
      rmSync(files().log);
      const before = [path, files().mark].map((file) => readFileSync(file));

      for (const _ of [1, 2])
        expect(() => openDatabase(path)).toThrow(
          `are damaged: the last 40 commits are missing from it and from ${files().log}`,
        );

      expect([path, files().mark].map((file) => readFileSync(file))).toEqual(before);
      expect(getError(() => openDatabase(path))).toContain(
        `or go on without them, although they were acknowledged: rm ${files().mark}`,
      );
    });

    it("opens after another program checkpointed and removed the log, though it changed records too", async () => {
      await crash(40);
      const otherSync = new DatabaseSync(path);
      otherSync.exec("DELETE FROM items WHERE sk = 'n39'");
      otherSync.close();

      expect(existsSync(files().log)).toBe(false);
      expect(await itemsLeft()).toBe(39);
    });

    it("stays unchanged after a start that refuses it", async () => {
      await crash(40);
      holeIn(files().log, 0.2, 0.21);
      const before = [path, files().log, files().mark].map((file) => readFileSync(file));

      for (const _ of [1, 2]) expect(() => openDatabase(path)).toThrow("commits in");

      expect([path, files().log, files().mark].map((file) => readFileSync(file))).toEqual(before);
    });

    it("stays unchanged after a start of an older version that refuses it", async () => {
      const database = openDatabase(path);
      await sqliteTable(database).put(item("a"));
      database.prepare("PRAGMA user_version = 9").get();
      const left = [path, files().log, files().mark].map((file) => [file, readFileSync(file)] as const);
      database.close();
      for (const [file, bytes] of left) writeFileSync(file, bytes);

      for (const _ of [1, 2]) expect(() => openDatabase(path)).toThrow("a later version");

      for (const [file, bytes] of left) expect(readFileSync(file).equals(bytes), file).toBe(true);
    });

    it("opens after a copy of the records was restored as described", async () => {
      await fill();
      const copy = readFileSync(path);
      await crash(40);
      holeIn(files().log, 0.2, 0.21);
      const said = getError(() => openDatabase(path));

      writeFileSync(path, copy);
      for (const suffix of ["-wal", "-shm", "-synced"]) rmSync(path + suffix, { force: true });

      expect(said).toContain(`Restore a copy of it and remove ${path}-wal, ${path}-shm and ${path}-synced`);
      expect(await itemsLeft()).toBe(40);
    });

    it("opens after the log was restarted", async () => {
      const database = openDatabase(path);
      const table = sqliteTable(database);
      await table.put(item("a"));
      const marked = readFileSync(files().mark);
      database.prepare("PRAGMA wal_checkpoint(RESTART)").get();
      await table.put(item("b"));
      const copies = [path, files().log].map((file) => [file, readFileSync(file)] as const);
      database.close();
      for (const [file, bytes] of [...copies, [files().mark, marked] as const]) writeFileSync(file, bytes);

      expect(await itemsLeft()).toBe(2);
    });

    it.each(["-wal", "-synced"])("is reported if its side file ending in %s cannot be read", async (suffix) => {
      await crash(1);
      rmSync(path + suffix);
      mkdirSync(path + suffix);

      expect(getError(() => openDatabase(path))).toBe(
        `Error: The records in ${path} cannot be opened: EISDIR: illegal operation on a directory, read.`,
      );
    });

    it("counts as new if only the records were moved away", async () => {
      await crash(40);
      rmSync(path);

      expect(await itemsLeft()).toBe(0);
    });
  });

  it("is distinguished from one of a later version", async () => {
    const database = openDatabase(path);
    database.prepare("PRAGMA user_version = 9").get();
    database.close();

    expect(() => openDatabase(path)).toThrow(
      `${path} was written by a later version of Berth (format 9, this one reads 1)`,
    );
  });

  it("opens without damage", async () => {
    await fill();

    const database = openDatabase(path);

    expect((await sqliteTable(database).query({ pk: "p" })).items).toHaveLength(40);
    database.close();
  });
});
