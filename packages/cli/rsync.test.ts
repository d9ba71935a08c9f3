import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findOnPath } from "../process/local-path.ts";
import { type CliFixture, openCliFixture } from "./cli-fixture.ts";

const hasRsync = findOnPath("rsync", process.env.PATH ?? "") !== undefined;
let cli: CliFixture;
let place: string;
/** A state directory whose path needs every kind of quoting. */
let env: Readonly<Record<string, string>>;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "c7i.8xlarge=4" });
  place = mkdtempSync(join(tmpdir(), "berth-rsync-"));
  env = { XDG_CONFIG_HOME: join(place, `my 100% "own" state's`) };
  await cli.runWith({ env }, "login");
});
afterAll(async () => {
  await cli.close();
  rmSync(place, { recursive: true });
});

test("rsync carries a tree there and back, and its exit code is the command's", async ({ skip }) => {
  if (!hasRsync) skip("there is no rsync on the PATH");
  await cli.runWith({ env }, "up", "-t", "cpu", "tree");
  const from = join(place, "from here");
  mkdirSync(from);
  for (const name of ["a b", "-rf", "it's", "new\nline"]) writeFileSync(join(from, name), `of ${name}`);

  expect(await cli.runWith({ env }, "rsync", "-a", `${from}/`, "tree:sub dir/")).toMatchObject({ code: 0, stderr: "" });
  expect(await cli.runWith({ env }, "rsync", "-a", "tree:sub dir/", join(place, "back"))).toMatchObject({ code: 0 });
  expect(readFileSync(join(place, "back", "new\nline"), "utf8")).toBe("of new\nline");
  expect(readFileSync(join(place, "back", "-rf"), "utf8")).toBe("of -rf");

  expect(await cli.runWith({ env }, "rsync", "-a", "tree:nothing-there", place)).toMatchObject({ code: 23 });
  expect(await cli.runWith({ env }, "rsync", "--no-such-option", "tree:x", place)).toMatchObject({ code: 1 });
  await cli.runWith({ env }, "end", "tree");
});

test("a call without a path in a job, and one with paths in two, are refused before anything is asked", async () => {
  expect(await cli.run("rsync", "-a", "x", "y")).toMatchObject({ code: 2, stdout: "" });
  expect(await cli.run("rsync", "-a", "one:x", "two:y")).toMatchObject({ code: 2, stdout: "" });
  expect(await cli.run("rsync", "-a", "-e", "ssh", "one:x", "y")).toMatchObject({ code: 2, stdout: "" });
  expect((await cli.run("rsync", "--help")).stdout).toMatch(/^USAGE\n {2}berth rsync /);
});

test("words behind -- reach the program as they are typed", async () => {
  await cli.run("up", "-t", "cpu", "words");

  expect(await cli.run("ssh", "words", "--", "echo", "--version")).toMatchObject({ code: 0, stdout: "--version\n" });
  await cli.run("end", "words");
});
