import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CliFixture, cleanEnvironment, openCliFixture } from "./cli-fixture.ts";
import { cliTarball } from "./tarball.ts";

let cli: CliFixture;
let place: string;
beforeAll(async () => {
  cli = await openCliFixture();
  place = mkdtempSync(join(tmpdir(), "berth-install-"));
});
afterAll(async () => {
  await cli.close();
  rmSync(place, { recursive: true });
});

/** Runs a program that may ask no registry. */
function run(program: string, ...words: string[]) {
  const ownValue = { HOME: place, XDG_CONFIG_HOME: join(place, "config"), BERTH_HOME: cli.stack.home };
  const closed = {
    npm_config_registry: "http://127.0.0.1:9/",
    npm_config_fetch_retries: "0",
    npm_config_audit: "false",
  };
  return spawnSync(program, words, {
    cwd: place,
    env: { ...cleanEnvironment(), ...ownValue, ...closed },
    encoding: "utf8",
  });
}

/** The Nodes of this machine, by their versions: that of the tests, and the one of the shell. */
function nodes(): [version: string, program: string][] {
  const found = [process.execPath, ...(process.env.PATH ?? "").split(":").map((folder) => join(folder, "node"))]
    .filter((program) => statSync(program, { throwIfNoEntry: false })?.isFile())
    .map((program): [string, string] => [run(program, "--version").stdout.trim(), program]);
  return [...new Map(found)];
}

test("the served tarball is installed into an empty folder by its address, and runs on each Node of this machine", async () => {
  const served = `${cli.running.url}/cli/berth.tgz`;
  const prefix = join(place, "prefix");
  const { status, stderr } = run("npm", "install", "-g", "--prefix", prefix, served);
  expect([status, stderr]).toEqual([0, ""]);

  const program = join(prefix, "bin/berth");
  expect(run(program, "version").stdout).toBe("berth 1.0.0\n");
  expect(run(program, "me").stdout).toMatch(/^User +developer \(/m);
  const tried = nodes().map(([version, node]) => [
    version,
    run(node, program, "version").stdout,
    run(node, program, "me").status,
  ]);
  process.stdout.write(`Tried on Node ${tried.map(([version]) => version).join(", ")}.\n`);
  expect(tried).toEqual(tried.map(([version]) => [version, "berth 1.0.0\n", 0]));
  expect(tried.map(([version]) => version)).toContain(process.version);
});

test("the served tarball matches its SHA-256, /.well-known/berth and this source", async () => {
  const [tarball, sum, found] = await Promise.all([
    fetch(`${cli.running.url}/cli/berth.tgz`),
    fetch(`${cli.running.url}/cli/berth.tgz.sha256`),
    cli.berth.discover(),
  ]);

  const bytes = new Uint8Array(await tarball.arrayBuffer());
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  expect(await sum.text()).toBe(`${sha256}  berth.tgz\n`);
  expect(found.cli).toEqual({ version: "1.0.0", path: "/cli/berth.tgz", sha256, min_version: "1.0.0" });
  expect(
    createHash("sha256")
      .update(await cliTarball())
      .digest("hex"),
  ).toBe(sha256);
});

test("the tarball has no owner, links or outside paths, and npm needs no other package", async () => {
  const file = join(place, "berth.tgz");
  writeFileSync(file, await cliTarball());

  const listed = run("tar", "-tvzf", file).stdout.trimEnd().split("\n");

  expect(
    listed.filter((line) => !/^-rw(xr-xr-x|-r--r--) 0\/0 +\d+ 1985-10-26 \S+ package\/[\w./-]+$/.test(line)),
  ).toEqual([]);
  expect(listed.filter((line) => line.includes("..") || line.includes(".ts"))).toEqual([]);
  run("tar", "-xzf", file, "-C", place);
  const { size } = statSync(join(place, "package/dist/berth.mjs"));
  expect([size < 300_000, statSync(file).size < 2_000_000]).toEqual([true, true]);
  expect(readdirSync(join(place, "package")).toSorted()).toEqual(["LICENSE", "berth.mjs", "dist", "package.json"]);
});
