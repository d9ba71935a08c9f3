import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { IPty } from "@lydell/node-pty";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { shellEnvironment } from "#local/shell-environment.ts";
import { findStored } from "#local/stored-record.ts";
import { PATIENCE_MS } from "#process/patience.ts";

const root = join(import.meta.dirname, "..");
const patience = { timeout: PATIENCE_MS, interval: 20 };
let home: string;
let terminal: Terminal | undefined;

interface Terminal {
  readonly pty: IPty;
  /** What it showed so far, without colors. */
  text(): string;
  /** Its exit code. */
  readonly ended: Promise<number>;
}

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth terminal's-"));
});

afterEach(async () => {
  terminal?.pty.kill("SIGKILL");
  await terminal?.ended;
  rmSync(home, { recursive: true });
});

/** The stack as a person starts it: what it writes to is a real terminal. */
async function startOnTerminal(settings: Readonly<Record<string, string>> = {}): Promise<Terminal> {
  const opened = await openTerminal(settings);
  await expect.poll(opened.text, patience).toMatch(/ data .*\n\n/);
  return opened;
}

async function openTerminal(settings: Readonly<Record<string, string>>): Promise<Terminal> {
  const { spawn } = await import("@lydell/node-pty");
  const env = { ...process.env, BERTH_HOME: home, PORT: "0", SWEEP_SECONDS: "1", NO_COLOR: undefined, ...settings };
  const pty = spawn(process.execPath, ["scripts/start.mjs"], { cols: 80, rows: 24, cwd: root, env });
  const parts: string[] = [];
  pty.onData((part) => parts.push(part));
  const ended = new Promise<number>((resolve) => pty.onExit(({ exitCode }) => resolve(exitCode)));
  terminal = { pty, ended, text: () => stripVTControlCharacters(parts.join("")).replaceAll("\r\n", "\n") };
  return terminal;
}

async function api(method: string, path: string, body?: object) {
  const variables = await shellEnvironment({ home, fresh: false });
  const [, url = ""] = /API_URL='([^']+)'/.exec(variables) ?? [];
  const [, key = ""] = /API_KEY='([^']+)'/.exec(variables) ?? [];
  const headers = { authorization: `Bearer ${key}` };
  const response = await fetch(url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  return (await response.json()) as { readonly job_id: string };
}

/** Lines that begin with a time of day. */
const events = (text: string) => text.split("\n").filter((line) => /^\d\d:\d\d:\d\d {2}/.test(line));

describe("npm start on a terminal", () => {
  it("shows a short block, one plain line for each thing that happens, and what Ctrl-C ends", async () => {
    const { pty, text, ended } = await startOnTerminal();
    const job = { image: "busybox", instance_type: "g4dn.2xlarge", command: "exec sleep 3600", name: "my-train" };

    await api("POST", "/v1/jobs/submit", job);
    await expect.poll(text, patience).toContain("active until");
    pty.write("\u0003");
    const code = await ended;

    const [block = "", rest = ""] = text().split(/(?<= data .*\n)/);
    expect(block.trim().split("\n").length).toBeLessThan(15);
    expect(block).toMatch(/^ {2}docs +http:\/\/127\.0\.0\.1:\d+\/docs$/m);
    expect(block).toContain(`eval "$(BERTH_HOME='${home.replace("'", "'\\''")}' npm run --silent env)"`);
    expect(events(rest).map((line) => line.slice(10).replace(/ +/, " "))).toEqual([
      "developer/my-train queued: 1 t4-small of g4dn.2xlarge",
      expect.stringMatching(/^developer\/my-train preparing: Capacity granted on /),
      expect.stringMatching(/^developer\/my-train active until (\w+ \d+ )?\d\d:\d\d$/),
    ]);
    expect(rest).not.toContain('{"');
    expect(events(rest).filter((line) => line.length > 80)).toEqual([]);
    expect(rest).toMatch(
      /Stopping 1 environment: developer\/my-train\nStopped: every environment that ran has ended\./,
    );
    expect(code).toBe(0);
  });

  it.each(["text", "json"])("is silent in %s while nothing happens", async (format) => {
    const { text } = await startOnTerminal({ LOG_FORMAT: format });
    await sweeps(1);
    const atStart = text();

    await sweeps(3);

    expect(text()).toBe(atStart);
  });

  it("shows JSON where LOG_FORMAT says so, and all of it where LOG_LEVEL does", async () => {
    const { text } = await startOnTerminal({ LOG_FORMAT: "json", LOG_LEVEL: "debug" });

    await expect.poll(text, patience).toMatch(/^\{"time":.*"event":"started","url":"http.*\}$/m);
    await expect.poll(text, patience).toMatch(/^\{"time":.*"event":"sweep".*"sent":0,.*\}$/m);
  });

  it("says in one line which of its settings is wrong", async () => {
    const { text, ended } = await openTerminal({ LOG_FORMAT: "xml", LOG_LEVEL: "loud" });

    expect(await ended).toBe(1);
    expect(text()).toBe(
      "Bad settings:\n  LOG_FORMAT must be text or json\n  LOG_LEVEL must be debug, info, warn or error\n",
    );
  });
});

/** Waits until the sweep has noted so many times up to which moment it has sent. */
async function sweeps(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) {
    const before = noted();
    await expect.poll(noted, patience).not.toBe(before);
  }
}

function noted(): string {
  return JSON.stringify(findStored(home, "sweep|-"));
}
