import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openServer } from "../sdk/server-fixture.ts";
import { packCli } from "./build.ts";
import { cleanEnvironment } from "./cli-fixture.ts";
import { version } from "./version.ts";

let out: string;
beforeAll(async () => {
  out = mkdtempSync(join(tmpdir(), "berth-pack-"));
  await packCli(out);
});
afterAll(() => rmSync(out, { recursive: true }));

const program = () => join(out, "berth.mjs");
const environment = () => ({
  ...cleanEnvironment(),
  XDG_CONFIG_HOME: out,
  BERTH_HOME: out,
  AWS_CONFIG_FILE: join(out, "none"),
  AWS_SHARED_CREDENTIALS_FILE: join(out, "none"),
  AWS_EC2_METADATA_DISABLED: "true",
});

function run(...words: string[]) {
  return spawnSync(process.execPath, [program(), ...words], { env: environment(), encoding: "utf8" });
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
});

test("the packed command line loads its AWS chunks for a login", async () => {
  const login = { server_id: "berth.corp", path: "/v1/auth/aws-login", sts_origins: [], region: null };
  const server = await openServer(() => ({ body: { login } }));
  const child = spawn(process.execPath, [program(), "login", server.url], { env: environment() });
  let stderr = "";
  child.stderr.on("data", (part) => (stderr += String(part)));
  const [code] = await once(child, "close");

  server.close();
  expect(stderr).toMatch(/^error: AWS has no credentials for you: /);
  expect(code).toBe(4);
});

/** Returns a file and all files that it imports before it runs. */
function startFiles(path: string, found = new Set<string>()): Set<string> {
  if (found.has(path)) return found;
  found.add(path);
  const imports = readFileSync(path, "utf8").matchAll(/(?:from|import)"(\.[^"]+)"/g);
  for (const [, name = ""] of imports) startFiles(join(dirname(path), name), found);
  return found;
}

test("what every command loads stays below 300 kB, in five files at most", () => {
  const files = [...startFiles(program())];

  expect(files.reduce((sum, file) => sum + statSync(file).size, 0)).toBeLessThan(300_000);
  expect(files.length).toBeLessThanOrEqual(5);
  expect(readdirSync(join(out, "chunks")).length).toBeGreaterThan(files.length + 5);
});

test("a start loads neither readline nor node:crypto", () => {
  const line = `process.argv.splice(1, 0, ${JSON.stringify(program())}, "--version");
    await import(${JSON.stringify(program())});
    process.stderr.write(process.moduleLoadList.join("\\n"));`;
  const words = ["--input-type=module", "-e", line];

  const { stdout, stderr } = spawnSync(process.execPath, words, { env: environment(), encoding: "utf8" });

  expect(stdout).toBe(`berth ${version}\n`);
  expect(stderr.split("\n")).not.toContain("NativeModule readline");
  expect(stderr.split("\n")).not.toContain("NativeModule crypto");
});
