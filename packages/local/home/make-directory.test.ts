import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeDirectory } from "./home.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "berth-directory-"));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

describe("making a directory", () => {
  it("creates missing parents too, and may be repeated", () => {
    makeDirectory(join(root, "a/b/c"));
    makeDirectory(join(root, "a/b/c"));

    expect(statSync(join(root, "a/b/c")).isDirectory()).toBe(true);
  });

  it("fails at once where it cannot, with the directory and the reason", () => {
    writeFileSync(join(root, "file"), "");

    expect(() => makeDirectory("/proc/berth/home")).toThrow(
      "The directory /proc/berth cannot be created: this file system refuses it",
    );
    expect(() => makeDirectory(join(root, "file/home"))).toThrow(
      `${join(root, "file")} cannot be created: a file has that`,
    );
  });
});
