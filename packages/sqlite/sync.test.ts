import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { logOnDisk } from "./sync.ts";

const started: ((error: Error | null) => void)[] = [];
const begin = (_: number, done: (error: Error | null) => void) => void started.push(done);
const noted: string[] = [];
let frames = 0;
const mark = {
  written: () => Buffer.from(`${frames}`),
  note: (written: Buffer) => void noted.push(String(written)),
  remove: () => {},
};
let home: string;

beforeEach(() => {
  started.length = 0;
  noted.length = 0;
  home = mkdtempSync(join(tmpdir(), "berth-sync-"));
  writeFileSync(join(home, "log"), "");
});

afterEach(() => {
  rmSync(home, { recursive: true });
});

test("whoever comes while one sync runs waits for the next one, with all the others", () => {
  const log = logOnDisk(join(home, "log"), mark, begin);
  const told: string[] = [];
  for (const name of ["a", "b", "c"]) log.sync(() => told.push(name));

  started[0]?.(null);
  const afterFirst = [...told];
  started[1]?.(null);

  expect(afterFirst).toEqual(["a"]);
  expect(told).toEqual(["a", "b", "c"]);
  expect(started).toHaveLength(2);
  log.close();
});

test("a sync that fails is told to those who waited for it, and the next one is tried", () => {
  const log = logOnDisk(join(home, "log"), mark, begin);
  const told: unknown[] = [];
  for (const name of ["a", "b"]) log.sync((error) => told.push([name, error?.message]));

  started[0]?.(new Error("EIO"));
  started[1]?.(null);

  expect(told).toEqual([
    ["a", "EIO"],
    ["b", undefined],
  ]);
  log.close();
});

test("the mark says how far the log was written when a sync began that came about, and no more", () => {
  const log = logOnDisk(join(home, "log"), mark, begin);
  frames = 3;
  log.sync(() => {});
  frames = 5;
  log.sync(() => {});

  started[0]?.(null);
  const afterFirst = [...noted];
  frames = 7;
  log.sync(() => {});
  started[1]?.(new Error("EIO"));
  started[2]?.(null);

  expect(afterFirst).toEqual(["3"]);
  expect(noted).toEqual(["3", "7"]);
  log.close();
});

test("where nobody can say how far the log is written, those who wait hear it, and the next one is tried", () => {
  let fails = true;
  const asked = {
    ...mark,
    written: () => {
      if (fails) throw new Error("no index");
      return Buffer.from("1");
    },
  };
  const log = logOnDisk(join(home, "log"), asked, begin);
  const told: unknown[] = [];
  log.sync((error) => told.push(error?.message));
  fails = false;
  log.sync((error) => told.push(error?.message));
  started[0]?.(null);

  expect(told).toEqual(["no index", undefined]);
  log.close();
});

test("closing tells everybody, and a log that is not there is said", () => {
  const log = logOnDisk(join(home, "log"), mark, begin);
  const told: unknown[] = [];
  for (const name of ["a", "b"]) log.sync((error) => told.push([name, error]));
  log.close();
  started[0]?.(null);
  logOnDisk(join(home, "absent"), mark, begin).sync((error) => told.push(error?.message.slice(0, 6)));

  expect(told).toEqual([["a", null], ["b", null], "ENOENT"]);
});
