import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openServer } from "../sdk/server-fixture.ts";
import { rootHelp } from "./app.ts";
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

test("the packed command line needs no other files", () => {
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
  expect(stderr).toMatch(/^error: AWS has no credentials for you: Could not load credentials from any providers/);
  expect(code).toBe(4);
});

/** Runs `berth ls` with a module that Node loads first, and returns also the path that it asked for. */
async function listWith(flag: "--require" | "--import", name: string, source: string) {
  const server = await openServer(() => ({ body: { jobs: [] } }));
  const hook = join(out, name);
  writeFileSync(hook, source);
  const env = { ...environment(), BERTH_URL: server.url, BERTH_API_KEY: "k" };
  const child = spawn(process.execPath, [flag, hook, program(), "ls"], { env });
  let stderr = "";
  child.stderr.on("data", (part) => (stderr += String(part)));
  const [code] = await once(child, "close");
  server.close();
  return { code, stderr, path: server.seen[0]?.path };
}

test("a call loads no built-in module that it does not use, as fetch, node:crypto and child processes", async () => {
  const { code, path, stderr } = await listWith(
    "--require",
    "list-modules.cjs",
    'process.on("exit", () => console.error(process.moduleLoadList.join("\\n")));',
  );

  expect([code, path]).toEqual([0, expect.stringMatching(/^\/v1\/jobs/)]);
  expect(stderr).toMatch(/^NativeModule http$/m);
  expect(stderr).not.toContain("undici");
  expect(stderr).not.toMatch(/^NativeModule (crypto|child_process|readline)$/m);
});

test("a call loads at most twelve files", async () => {
  const { code, stderr } = await listWith(
    "--import",
    "list-files.mjs",
    `import { registerHooks } from "node:module";
    registerHooks({ load: (url, context, next) => (url.startsWith("file:") && console.error(url), next(url, context)) });`,
  );

  expect(code).toBe(0);
  expect(stderr).toContain("/berth.mjs");
  expect(stderr.match(/^file:/gm)?.length).toBeLessThanOrEqual(12);
});

/** Returns a file and all files that it imports before it runs. */
function startFiles(path: string, found = new Set<string>()): Set<string> {
  if (found.has(path)) return found;
  found.add(path);
  const imports = readFileSync(path, "utf8").matchAll(/(?:from|import)"(\.[^"]+)"/g);
  for (const [, name = ""] of imports) startFiles(join(dirname(path), name), found);
  return found;
}

test("every command loads less than 300 kB, in five files at most", () => {
  const [, started = ""] = /import\("(\.[^"]+)"\)/.exec(readFileSync(program(), "utf8")) ?? [];
  const files = [...startFiles(join(out, started))];

  expect(files.reduce((sum, file) => sum + statSync(file).size, 0)).toBeLessThan(300_000);
  expect(files.length).toBeLessThanOrEqual(5);
  expect(readdirSync(join(out, "chunks")).length).toBeGreaterThan(files.length + 5);
});

test("the answer to --help loads no command, and is that of the source for users and operators", async () => {
  const files = [...startFiles(join(out, "root-help.mjs"))];
  expect(files.length).toBe(1);
  expect(statSync(join(out, "root-help.mjs")).size).toBeLessThan(20_000);

  const url = "http://127.0.0.1:1";
  for (const isOperator of [false, true]) {
    const profile = {
      key: "k",
      expiresAt: "2030-01-01T00:00:00Z",
      username: "ada",
      source: { kind: "given" },
      isOperator,
    };
    mkdirSync(join(out, "berth"), { recursive: true });
    writeFileSync(join(out, "berth/profiles.json"), JSON.stringify({ current: url, profiles: { [url]: profile } }));
    for (const words of [["--help"], ["-h"], ["help"]]) {
      const { stdout, stderr, status } = run(...words);
      expect([stdout, stderr, status]).toEqual([await rootHelp({ showsAdmin: isOperator }), "", 0]);
    }
    expect(run("--help").stdout.includes("berth admin")).toBe(isOperator);
  }
  rmSync(join(out, "berth"), { recursive: true });
});

test("the answer to --version loads 2 kB in three files", () => {
  const files = [...startFiles(program())];

  expect(files.length).toBeLessThanOrEqual(3);
  expect(files.reduce((sum, file) => sum + statSync(file).size, 0)).toBeLessThan(2000);
  expect(run("--version", "--json")).toMatchObject({ status: 0, stdout: `{"version":"${version}"}\n` });
});

/** Starts the wrapper with a directory for the state. Returns whether it keeps compiled code there. */
function keepsCompiledCode(config: string): boolean {
  const env = { ...environment(), XDG_CONFIG_HOME: config, NODE_COMPILE_CACHE: undefined };
  const wrapper = join(import.meta.dirname, "berth.mjs");
  const { status } = spawnSync(process.execPath, [wrapper, "--version"], { env });
  expect(status).toBe(0);
  const compiled = join(config, "berth/compiled");
  return existsSync(compiled) && readdirSync(compiled).length > 0;
}

test("compiled code is kept only in the state directory, where no other user can write", () => {
  const config = mkdtempSync(join(out, "config-"));
  const compiled = join(config, "berth/compiled");
  expect(keepsCompiledCode(config)).toBe(false);
  expect(readdirSync(config)).toEqual([]);

  mkdirSync(join(config, "berth"), { mode: 0o700 });
  expect(keepsCompiledCode(config)).toBe(true);
  expect(statSync(compiled).mode & 0o777).toBe(0o700);

  rmSync(compiled, { recursive: true });
  mkdirSync(compiled);
  chmodSync(compiled, 0o777);
  expect(keepsCompiledCode(config)).toBe(false);

  rmSync(compiled, { recursive: true });
  mkdirSync(join(config, "elsewhere"));
  symlinkSync(join(config, "elsewhere"), compiled);
  expect(keepsCompiledCode(config)).toBe(false);

  rmSync(compiled);
  chmodSync(join(config, "berth"), 0o777);
  expect(keepsCompiledCode(config)).toBe(false);
});

test("a start loads neither readline nor node:crypto", () => {
  const line = `process.argv.splice(1, 0, ${JSON.stringify(program())}, "version");
    await import(${JSON.stringify(program())});
    process.stderr.write(process.moduleLoadList.join("\\n"));`;
  const words = ["--input-type=module", "-e", line];

  const { stdout, stderr } = spawnSync(process.execPath, words, { env: environment(), encoding: "utf8" });

  expect(stdout).toBe(`berth ${version}\n`);
  expect(stderr.split("\n")).not.toContain("NativeModule readline");
  expect(stderr.split("\n")).not.toContain("NativeModule crypto");
});
