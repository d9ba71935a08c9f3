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

test("a reader is woken by the line that it waits for, and not by its patience", async () => {
  const live = processLiveLogs(home);
  print("first\n");
  const waiting = live.waitFor(uid, 1, 6, 100 * PATIENCE_MS);
  setImmediate(() => print("second\n"));

  await waiting;

  expect(findText(await live.read(uid, 1, 6))).toBe("second\n");
});

test("what was printed before a reader waits is not waited for", async () => {
  const live = processLiveLogs(home);
  print("first\n");

  await live.waitFor(uid, 1, 0, 100 * PATIENCE_MS);

  expect(findText(await live.read(uid, 1, 0))).toBe("first\n");
});

test("a reader who leaves, and one whose time is over, wait no longer", async () => {
  const live = processLiveLogs(home);
  const leaving = new AbortController();
  const waiting = live.waitFor(uid, 1, 0, 100 * PATIENCE_MS, leaving.signal);
  leaving.abort();

  await waiting;
  await live.waitFor(uid, 1, 0, 1);

  expect(findText(await live.read(uid, 1, 0))).toBe("");
});

test.each([0.25, 1.5])(
  "a reader waits what is left of its time, a fraction of a millisecond too: %d ms",
  async (ms) => {
    const live = processLiveLogs(home);

    await live.waitFor(uid, 1, 0, ms);

    expect(findText(await live.read(uid, 1, 0))).toBe("");
  },
);

test("a run that is not there has no output, and waits for none", async () => {
  const live = processLiveLogs(home);

  await live.waitFor("b".repeat(32), 1, 0, 1);

  expect(await live.read("b".repeat(32), 1, 0)).toBeUndefined();
});
