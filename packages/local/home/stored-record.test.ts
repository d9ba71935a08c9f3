import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "#aws/clock.ts";
import { openHome } from "./home.ts";
import { findStored, openStores, setStored } from "./stores.ts";

const job = { pk: "owner#1#env#gpu-dev", sk: "job-1", writers: ["w1"], kind: "environment", phase: "odd", dueAt: 5 };
const sameId = { ...job, pk: "owner#2#env#gpu-dev" };
let home: string;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "berth-record-"));
  openHome(home).release();
  const stores = openStores(home, systemClock());
  await stores.table.put(job);
  await stores.table.put(sameId);
  await stores.stop();
});

afterEach(() => rmSync(home, { recursive: true }));

test("finds a record by its key, and every record that ends with an id", () => {
  expect(findStored(home, "owner#1#env#gpu-dev|job-1")).toEqual([job]);
  expect(findStored(home, "job-1").map(({ pk }) => pk)).toEqual(["owner#1#env#gpu-dev", "owner#2#env#gpu-dev"]);
  expect(findStored(home, "job-2")).toEqual([]);
});

test("names the directory of a home without records", () => {
  expect(() => findStored(join(home, "none"), "job-1")).toThrow("There are no records in");
});

test("sets a field, which the next start accepts, and makes the record due", async () => {
  const before = Date.now();

  await setStored(home, "owner#1#env#gpu-dev|job-1", { phase: "queued" });

  const stores = openStores(home, systemClock());
  const stored = await stores.table.get(job);
  await stores.stop();
  expect(stored).toMatchObject({ ...job, phase: "queued", dueAt: expect.any(Number) });
  expect(stored?.dueAt).toBeGreaterThanOrEqual(before);
});

test("changes nothing if an id matches two records", async () => {
  await expect(setStored(home, "job-1", { phase: "queued" })).rejects.toThrow("More than one record is called job-1");
  expect(findStored(home, "owner#1#env#gpu-dev|job-1")).toEqual([job]);
});

test("changes nothing while a stack runs in the home", async () => {
  const running = openHome(home);
  running.writeRecord({ url: "http://127.0.0.1:1", stsUrl: "http://127.0.0.1:2", stopped: false });

  const setting = setStored(home, "owner#1#env#gpu-dev|job-1", { phase: "queued" });

  await expect(setting).rejects.toThrow(`kill -9 ${process.pid}`);
  running.release();
  expect(findStored(home, "owner#1#env#gpu-dev|job-1")).toEqual([job]);
});
