import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { spawn } from "@lydell/node-pty";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runProgram } from "../../../tests/e2e/program.ts";
import { openServer, type ServerFixture } from "../../sdk/server-fixture.ts";
import { cleanEnvironment } from "../cli-fixture.ts";
import { isOlder } from "../version.ts";

let state: string;
let server: ServerFixture;
let cli: object | null;
beforeEach(async () => {
  state = mkdtempSync(join(tmpdir(), "berth-versions-"));
  cli = { version: "9.9.9", path: "/cli/berth.tgz", sha256: "", min_version: "1.0.0" };
  server = await openServer(({ path }) => {
    if (path === "/.well-known/berth") return { body: { service: "berth", min_client_version: "1.0.0", cli } };
    return { body: { jobs: [], total: 0, limit: 1, offset: 0 } };
  });
});
afterEach(() => {
  server.close();
  rmSync(state, { recursive: true });
});

const program = join(import.meta.dirname, "../berth.mjs");
const file = () => join(state, "berth/versions.json");
const listPolls = () => server.seen.filter(({ path }) => path === "/.well-known/berth");

function environment(): Record<string, string> {
  return { ...cleanEnvironment(), XDG_CONFIG_HOME: state, BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };
}

/** Runs a command on a terminal that is wide enough for every line, and returns what it showed. */
function onTerminal(words: readonly string[], more: Record<string, string> = {}): Promise<string> {
  const pty = spawn(process.execPath, [program, ...words], { cols: 400, rows: 24, env: { ...environment(), ...more } });
  const parts: string[] = [];
  pty.onData((part) => parts.push(part));
  return new Promise((resolve) => pty.onExit(() => resolve(stripVTControlCharacters(parts.join("")))));
}

function inPipe(...words: string[]) {
  return runProgram(process.execPath, [program, ...words], { env: environment(), timeout: 0 });
}

function remember(found: object): void {
  mkdirSync(join(state, "berth"), { recursive: true, mode: 0o700 });
  writeFileSync(file(), JSON.stringify({ [server.url]: found }));
}

const remembered = () => JSON.parse(readFileSync(file(), "utf8"))[server.url];

test("a terminal shows once a day that the deployment has a newer berth, and no command waits for that", async () => {
  expect(await onTerminal(["ls"])).not.toContain("npm install");
  await expect.poll(() => remembered().version, { timeout: 60_000 }).toBe("9.9.9");

  const second = await onTerminal(["ls"]);
  const third = await onTerminal(["ls"]);

  expect(second).toContain("You have no live jobs.");
  expect(second).toContain(
    `berth 9.9.9 is available, and you have 1.0.0. Install it with: npm install -g ${server.url}/cli/berth.tgz`,
  );
  expect(third).not.toContain("npm install");
  expect(listPolls().map(({ headers }) => headers.authorization)).toEqual([undefined]);
});

test("versions are compared number by number", () => {
  const older = [
    ["1.9.0", "1.10.0"],
    ["1.9.9", "2.0.0"],
    ["1.0.0", "1.0.1"],
  ] as const;
  for (const [earlier, later] of older) {
    expect([isOlder(earlier, later), isOlder(later, earlier), isOlder(later, later)]).toEqual([true, false, false]);
  }
});

test("no version is checked or shown in a pipe, with --json, quietly, or if the versions are the same", async () => {
  remember({ lookedAt: 0, version: "9.9.9" });

  const words = [await inPipe("ls"), await inPipe("ls", "--json")].map(({ stdout, stderr }) => stdout + stderr);
  words.push(await onTerminal(["ls", "--json"]), await onTerminal(["ls"], { BERTH_QUIET: "1" }));
  expect(words.filter((text) => text.includes("9.9.9"))).toEqual([]);
  expect([listPolls(), remembered().lookedAt]).toEqual([[], 0]);

  remember({ lookedAt: Date.now(), version: "1.0.0" });
  expect(await onTerminal(["ls"])).not.toContain("npm install");
});

test("a berth that the deployment no longer supports says so, and works again once it is supported", async () => {
  remember({ lookedAt: Date.now(), minVersion: "9.0.0" });
  cli = { version: "9.9.9", path: "/cli/berth.tgz", sha256: "", min_version: "9.0.0" };

  const { code, stdout, stderr } = await inPipe("ls");
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toBe(
    `error: ${server.url} serves berth from 9.0.0 on, and this is 1.0.0\n` +
      `hint: Install the newer one with: npm install -g ${server.url}/cli/berth.tgz\n`,
  );

  cli = { version: "1.0.0", path: "/cli/berth.tgz", sha256: "", min_version: "1.0.0" };
  expect((await inPipe("ls")).code).toBe(0);
});

test.each([
  { version: "9.9.9; touch /x", path: "https://elsewhere.example/x", min_version: "9\u001b[31m" },
  { version: "9".repeat(40), min_version: "99.99" },
  { version: 9, min_version: null },
])("an invalid version is not shown and refuses no command: %j", async (odd) => {
  cli = odd;
  remember({ lookedAt: 0, minVersion: "0.9.0" });
  await onTerminal(["ls"]);
  await expect.poll(() => listPolls().length, { timeout: 60_000 }).toBe(1);
  await expect.poll(() => remembered().minVersion, { timeout: 60_000 }).not.toBe("0.9.0");

  const text = await onTerminal(["ls"]);

  expect(text).toContain("You have no live jobs.");
  expect(text).not.toMatch(/npm install|elsewhere/);
});
