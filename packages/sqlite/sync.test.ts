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

test("a write during a sync waits for the next one, with all others", () => {
  const log = logOnDisk(join(home, "log"), mark, begin);
  const seen: string[] = [];
  for (const name of ["a", "b", "c"]) log.sync(() => seen.push(name));

  started[0]?.(null);
  const afterFirst = [...seen];
  started[1]?.(null);

  expect(afterFirst).toEqual(["a"]);
  expect(seen).toEqual(["a", "b", "c"]);
  expect(started).toHaveLength(2);
  log.close();
});

test("a failed sync fails all waiting and later writes, without another attempt", () => {
  const log = logOnDisk(join(home, "log"), mark, begin);
  const seen: unknown[] = [];
  const tell = (name: string) => log.sync((error) => seen.push([name, error?.message]));
  tell("waited for it");
  tell("waited for the next one");

  started[0]?.(new Error("EIO"));
  tell("came later");
  log.close();

  expect(seen).toEqual(["waited for it", "waited for the next one", "came later"].map((name) => [name, "EIO"]));
  expect(started).toHaveLength(1);
  expect(noted).toEqual([]);
});

test("the mark records how far the log was written when a successful sync began", () => {
  const log = logOnDisk(join(home, "log"), mark, begin);
  frames = 3;
  log.sync(() => {});
  frames = 5;
  log.sync(() => {});

  started[0]?.(null);
  const afterFirst = [...noted];
  frames = 7;
  log.sync(() => {});
  started[1]?.(null);
  const afterSecond = [...noted];
  started[2]?.(new Error("EIO"));

  expect([afterFirst, afterSecond, noted]).toEqual([["3"], ["3", "5"], ["3", "5"]]);
  log.close();
});

test("a log of unknown length is synced all the same, and the mark lags behind", () => {
  let number: string | undefined;
  const input = { ...mark, written: () => (number === undefined ? undefined : Buffer.from(number)) };
  const log = logOnDisk(join(home, "log"), input, begin);
  const seen: unknown[] = [];
  log.sync((error) => seen.push(error));
  started[0]?.(null);
  const afterFirst = [...noted];
  number = "2";
  log.sync((error) => seen.push(error));
  started[1]?.(null);

  expect(seen).toEqual([null, null]);
  expect([afterFirst, noted]).toEqual([[], ["2"]]);
  log.close();
});

test("closing calls back all writers, and a missing log fails at once", () => {
  const log = logOnDisk(join(home, "log"), mark, begin);
  const seen: unknown[] = [];
  for (const name of ["a", "b"]) log.sync((error) => seen.push([name, error]));
  log.close();
  started[0]?.(null);

  expect(seen).toEqual([
    ["a", null],
    ["b", null],
  ]);
  expect(() => logOnDisk(join(home, "absent"), mark, begin)).toThrow("ENOENT");
});
