import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PATIENCE_MS } from "../patience-fixture.ts";
import { processLiveLogs } from "./live-logs.ts";

const uid = "a".repeat(32);
let home: string;
let directory: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-live-"));
  directory = join(home, "runs", `${uid}-r1`);
  mkdirSync(directory, { recursive: true });
});
afterEach(() => rmSync(home, { recursive: true }));

const print = (text: string) => appendFileSync(join(directory, "log-0"), text);
const findText = (part: { readonly bytes: Uint8Array } | undefined) => part && Buffer.from(part.bytes).toString();

test("a waiting reader wakes on the next line, not on its timeout", async () => {
  const live = processLiveLogs(home);
  print("first\n");
  const waiting = live.waitFor(uid, 1, 6, 100 * PATIENCE_MS);
  setImmediate(() => print("second\n"));

  await waiting;

  expect(findText(await live.read(uid, 1, 6))).toBe("second\n");
});

test("a reader does not wait for output that is already there", async () => {
  const live = processLiveLogs(home);
  print("first\n");

  await live.waitFor(uid, 1, 0, 100 * PATIENCE_MS);

  expect(findText(await live.read(uid, 1, 0))).toBe("first\n");
});

test("a reader stops waiting when it leaves and when its time is over", async () => {
  const live = processLiveLogs(home);
  const leaving = new AbortController();
  const waiting = live.waitFor(uid, 1, 0, 100 * PATIENCE_MS, leaving.signal);
  leaving.abort();

  await waiting;
  await live.waitFor(uid, 1, 0, 1);

  expect(findText(await live.read(uid, 1, 0))).toBe("");
});

test.each([0.25, 1.5])("a reader can wait for a fraction of a millisecond: %d ms", async (ms) => {
  const live = processLiveLogs(home);

  await live.waitFor(uid, 1, 0, ms);

  expect(findText(await live.read(uid, 1, 0))).toBe("");
});

test("a missing run has no output, and reading it does not wait", async () => {
  const live = processLiveLogs(home);

  await live.waitFor("b".repeat(32), 1, 0, 1);

  expect(await live.read("b".repeat(32), 1, 0)).toBeUndefined();
});
