import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packCli } from "./build.ts";
import { cleanEnvironment } from "./cli-fixture.ts";
import { version } from "./version.ts";

let out: string;
beforeAll(async () => {
  out = mkdtempSync(join(tmpdir(), "berth-pack-"));
  await packCli(out);
});
afterAll(() => rmSync(out, { recursive: true }));

function run(...words: string[]) {
  const options = { env: { ...cleanEnvironment(), XDG_CONFIG_HOME: out, BERTH_HOME: out }, encoding: "utf8" } as const;
  return spawnSync(process.execPath, [join(out, "berth.mjs"), ...words], options);
}

test("the packed command line needs nothing beside it", () => {
  expect(run("--version")).toMatchObject({ status: 0, stdout: `berth ${version}\n`, stderr: "" });
  expect(run("--help").stdout).toContain("berth up ");
  expect(run("ls")).toMatchObject({ status: 4, stdout: "" });
  expect(run("stack", "start")).toMatchObject({
    status: 1,
    stdout: "",
    stderr: expect.stringMatching(/checkout of Berth/),
  });
  // The chunks of AWS are loaded, and find no stack.
  expect(run("login", "http://127.0.0.1:1")).toMatchObject({ status: 4, stdout: "" });
});

test("what every command loads stays below 300 kB", () => {
  const { size } = statSync(join(out, "berth.mjs"));

  expect(size).toBeLessThan(300_000);
  expect(readdirSync(join(out, "chunks")).length).toBeGreaterThan(5);
});
