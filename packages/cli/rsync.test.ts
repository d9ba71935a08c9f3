import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findOnPath } from "../process/sandbox/local-path.ts";
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

test("rsync copies a tree in both directions, and its exit code is the command's", async ({ skip }) => {
  if (!hasRsync) skip("there is no rsync on the PATH");
  await cli.runWith({ env }, "up", "-t", "cpu", "tree");
  const from = join(place, "from here");
  mkdirSync(from);
  for (const name of ["a b", "-rf", "it's", "new\nline"]) writeFileSync(join(from, name), `of ${name}`);

  expect(await cli.runWith({ env }, "rsync", "-a", `${from}/`, "tree:sub dir/")).toMatchObject({ code: 0, stderr: "" });
  expect(await cli.runWith({ env }, "rsync", "-a", "tree:sub dir/", join(place, "back"))).toMatchObject({ code: 0 });
  expect(readFileSync(join(place, "back", "new\nline"), "utf8")).toBe("of new\nline");
  expect(readFileSync(join(place, "back", "-rf"), "utf8")).toBe("of -rf");

  const counted = await cli.runWith({ env }, "rsync", "--json", "-av", `${from}/`, "tree:counted/");
  expect(JSON.parse(counted.stdout)).toEqual({ job_id: expect.any(String), files: 4, bytes: 30 });
  expect(counted.stderr).toContain("-rf");

  expect(await cli.runWith({ env }, "rsync", "-a", "tree:nothing-there", place)).toMatchObject({ code: 23 });
  expect(await cli.runWith({ env }, "rsync", "--no-such-option", "tree:x", place)).toMatchObject({ code: 1 });
  await cli.runWith({ env }, "end", "tree");
});

/** Makes a directory with an rsync that answers its version and leaves a file beside itself when it is used. */
function fakeRsync(name: string, version: string): { readonly bin: string; readonly wasUsed: () => boolean } {
  const bin = join(place, name);
  mkdirSync(bin);
  const script = `#!/bin/sh\n[ "$1" = --version ] && { echo '${version}'; exit; }\ntouch '${bin}/used'\nexit 3\n`;
  writeFileSync(join(bin, "rsync"), script);
  chmodSync(join(bin, "rsync"), 0o755);
  return { bin, wasUsed: () => existsSync(join(bin, "used")) };
}

test.each([
  ["older", "rsync  version 3.2.7  protocol version 31"],
  ["3.3", "rsync  version 3.3.9  protocol version 31"],
  ["of macOS", "openrsync: protocol version 29, rsync version 2.6.9 compatible"],
])("an rsync that a hostile job could redirect copies nothing from it: %s", async (name, version) => {
  const { bin, wasUsed } = fakeRsync(`rsync ${name}`, version);
  const settings = { ...env, PATH: `${bin}:${process.env.PATH}` };

  const { code, stdout, stderr } = await cli.runWith({ env: settings }, "rsync", "-a", "no-job:x", ".");

  expect([code, stdout, wasUsed()]).toEqual([1, "", false]);
  expect(stderr).toContain(
    `${version}\nhint: Install rsync 3.4.0 or newer here, or copy with: berth cp -r NAME:path .\n`,
  );
});

test("a run copies by tar if rsync is older", async () => {
  const { bin, wasUsed } = fakeRsync("before", "rsync  version 3.2.7  protocol version 31");
  const dir = join(place, "project");
  mkdirSync(dir);
  writeFileSync(join(dir, "in"), "brought\n");
  const settings = { ...env, PATH: `${bin}:${process.env.PATH}` };
  const words = ["run", "-t", "cpu", "--dir", dir, "--pull", "out", "by-tar", "--", "cat in > out"];

  expect(await cli.runWith({ env: settings }, ...words)).toMatchObject({ code: 0 });
  expect([readFileSync(join(dir, "out"), "utf8"), wasUsed()]).toEqual(["brought\n", false]);
});

test.each(["3.4.0", "3.10.1", "4.0.0", "v3.4.1"])("rsync %s may copy files from a job", async (version) => {
  const { bin } = fakeRsync(`rsync ${version}`, `rsync  version ${version}  protocol version 32`);
  const settings = { ...env, PATH: `${bin}:${process.env.PATH}` };

  const { stderr } = await cli.runWith({ env: settings }, "rsync", "-a", "no-job:x", ".");

  expect(stderr).toMatch(/^error: .*no-job/m);
});

test("a call without a path in a job, or with paths in two, is refused before any request", async () => {
  expect(await cli.run("rsync", "-a", "x", "y")).toMatchObject({ code: 2, stdout: "" });
  expect(await cli.run("rsync", "-a", "one:x", "two:y")).toMatchObject({ code: 2, stdout: "" });
  expect(await cli.run("rsync", "-a", "-e", "ssh", "one:x", "y")).toMatchObject({ code: 2, stdout: "" });
  expect((await cli.run("rsync", "--help")).stdout).toMatch(/^USAGE\n {2}berth rsync /);
});

test("arguments after -- reach the program unchanged", async () => {
  await cli.run("up", "-t", "cpu", "words");

  expect(await cli.run("ssh", "words", "--", "echo", "--version")).toMatchObject({ code: 0, stdout: "--version\n" });
  await cli.run("end", "words");
});
