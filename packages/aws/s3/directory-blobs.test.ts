import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { blobsConformance } from "#tests/conformance/blobs.ts";
import { directoryBlobs } from "./directory-blobs.ts";

let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "berth-blobs-"));
});

afterAll(() => rmSync(root, { recursive: true }));

const open = async () => directoryBlobs(mkdtempSync(join(root, "fixture-")));

describe("blobs in a directory", () => {
  blobsConformance(open);

  it("are readable only for their owner, and leave no drafts", async () => {
    const directory = mkdtempSync(join(root, "fixture-"));

    await directoryBlobs(directory).put("logs/a", Uint8Array.of(1));

    expect(statSync(join(directory, "logs/a")).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(["logs"]);
  });

  it("report a failed write, and leave no drafts", async () => {
    const directory = mkdtempSync(join(root, "fixture-"));
    const blobs = directoryBlobs(directory);
    await blobs.put("logs/a", Uint8Array.of(1));

    await expect(blobs.put("logs/a/b", Uint8Array.of(1))).rejects.toThrow();
    await expect(blobs.put("logs", Uint8Array.of(1))).rejects.toThrow();

    expect(readdirSync(directory)).toEqual(["logs"]);
  });
});
