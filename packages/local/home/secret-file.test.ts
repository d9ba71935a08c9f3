import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeOnce } from "./secret-file.ts";

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-secret-"));
  path = join(directory, "key");
});

afterEach(() => {
  chmodSync(directory, 0o700);
  rmSync(directory, { recursive: true });
});

test("a secret is written once, with mode 600", () => {
  writeOnce(path, () => "first");
  writeOnce(path, () => "second");

  expect(readFileSync(path, "utf8")).toBe("first");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(["key"]);
});

test("a failed write leaves no file that the next start would take for the secret", () => {
  const full = () => {
    throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
  };

  expect(() => writeOnce(path, full)).toThrow("no space left");

  expect(readdirSync(directory)).toEqual([]);
  writeOnce(path, () => "later");
  expect(readFileSync(path, "utf8")).toBe("later");
});

test("the second writer keeps the file of the first", () => {
  writeOnce(path, () => {
    writeFileSync(path, "by another");
    return "mine";
  });

  expect(readFileSync(path, "utf8")).toBe("by another");
  expect(readdirSync(directory)).toEqual(["key"]);
});
