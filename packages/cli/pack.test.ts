import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

test("what every command loads stays below 300 kB", () => {
  const { size } = statSync(join(out, "berth.mjs"));

  expect(size).toBeLessThan(300_000);
  expect(readdirSync(join(out, "chunks")).length).toBeGreaterThan(5);
});
