import { spawnSync } from "node:child_process";
import {
  createReadStream,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { unpackPaths } from "./unpack.ts";

let place: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "berth-unpack-"));
});
afterEach(() => rmSync(place, { recursive: true }));

function tar(...words: string[]): void {
  const { status, stderr } = spawnSync("tar", ["-C", join(place, "job"), ...words], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}

test("a stream of a hostile job writes only the requested paths", async () => {
  const archive = join(place, "stream.tar");
  const local = join(place, "local");
  mkdirSync(join(place, "job"));
  mkdirSync(join(local, ".git/hooks"), { recursive: true });
  symlinkSync(".git/hooks", join(place, "job/out"));
  for (const name of ["hook", "Makefile", "result"]) writeFileSync(join(place, "job", name), name);
  // The link comes first, and a file goes through it.
  tar("-cf", archive, "./out", "./Makefile", "./result");
  tar("-rf", archive, "--transform", "s,^hook,./out/pre-commit,", "hook");

  const signal = new AbortController().signal;
  const done = unpackPaths(createReadStream(archive), { local, paths: ["out", "result"], signal });
  await done.catch(() => undefined);

  expect(readdirSync(join(local, ".git/hooks"))).toEqual([]);
  expect(readdirSync(local).filter((name) => !["out", "result"].includes(name))).toEqual([".git"]);
});

test("files and links of the paths arrive, and no draft stays", async () => {
  const archive = join(place, "stream.tar");
  const local = join(place, "local");
  mkdirSync(join(place, "job/out/a b"), { recursive: true });
  mkdirSync(local);
  writeFileSync(join(place, "job/out/a b/*"), "text");
  symlinkSync("a b", join(place, "job/out/latest"));
  tar("-cf", archive, "./out");

  for (const _ of ["first", "again"]) {
    const signal = new AbortController().signal;
    await unpackPaths(createReadStream(archive), { local, paths: ["out/a b", "out/latest"], signal });
  }

  expect(readdirSync(local)).toEqual(["out"]);
  expect(readdirSync(join(local, "out/a b"))).toEqual(["*"]);
  expect(lstatSync(join(local, "out/latest")).isSymbolicLink()).toBe(true);
});
