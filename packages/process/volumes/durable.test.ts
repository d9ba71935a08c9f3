import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sync, syncTree } from "./durable.ts";

let place: string;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "berth-durable-"));
});

afterEach(() => {
  rmSync(place, { recursive: true });
});

test("files, directories and whole trees are synced, and a missing one is an error", async () => {
  mkdirSync(join(place, "a/b"), { recursive: true });
  writeFileSync(join(place, "a/b/file"), "text");

  await sync(join(place, "a/b/file"), join(place, "a"));
  await syncTree(place);

  await expect(sync(join(place, "absent"))).rejects.toThrow("ENOENT");
  await expect(syncTree(join(place, "absent"))).rejects.toThrow("ENOENT");
});
