import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listFiles } from "./list-files.ts";

let place: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "berth-list-"));
});
afterEach(() => rmSync(place, { recursive: true }));

function write(...files: readonly (readonly [string, string])[]): void {
  for (const [name, text] of files) {
    mkdirSync(dirname(join(place, name)), { recursive: true });
    writeFileSync(join(place, name), text);
  }
}

function git(directory: string, ...words: string[]): void {
  const { status, stderr } = spawnSync("git", ["-C", directory, ...words], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}

const rules = [
  [".gitignore", "*.log\nbuild/\n"],
  ["a.log", ""],
  ["build/x", ""],
  ["sub/.gitignore", "!keep.log\nlocal\n"],
  ["sub/keep.log", ""],
  ["sub/local", ""],
  ["local", ""],
  [".berthignore", "data/\n*.bin\n!small.bin\n"],
  ["data/large", ""],
  ["sub/a.bin", ""],
  ["small.bin", "123"],
] as const;
const expected = [".berthignore", ".gitignore", "local", "small.bin", "sub/.gitignore", "sub/keep.log"];

test.each(["with git", "without git"])("the rules of ignore files apply %s", (kind) => {
  write(...rules);
  if (kind === "with git") git(place, "init", "-q");

  expect(listFiles(place).paths.toSorted()).toEqual(expected);
});

test("tracked files count though ignored, deleted ones do not, and a repository inside has its own rules", () => {
  write(
    ["a.log", ""],
    [".gitignore", "*.log\n"],
    ["gone", ""],
    ["inner/.gitignore", "y\n"],
    ["inner/x", "12"],
    ["inner/y", ""],
  );
  git(place, "init", "-q");
  git(place, "add", "-f", "a.log", "gone");
  rmSync(join(place, "gone"));
  git(join(place, "inner"), "init", "-q");

  const { paths, bytes } = listFiles(place);

  expect(paths.toSorted()).toEqual([".gitignore", "a.log", "inner/.gitignore", "inner/x"]);
  expect(bytes).toBe("*.log\n".length + "y\n".length + 2);
});

test("links are listed and never followed, and unusual names stay unchanged", () => {
  write(["-n", ""], [" lead", ""], ["new\nline", ""], ["#hash", ""], ["!bang", ""], ["back\\slash", ""]);
  symlinkSync("/etc", join(place, "outside"));
  symlinkSync(".", join(place, "loop"));

  expect(listFiles(place).paths.toSorted()).toEqual(
    ["-n", " lead", "new\nline", "#hash", "!bang", "back\\slash", "outside", "loop"].toSorted(),
  );
});
