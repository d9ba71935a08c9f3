import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { IPty } from "@lydell/node-pty";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { noDiskMessage } from "#core/environments/record/disk/disk-use.ts";
import { findStored } from "#local/home/stores.ts";
import { shellEnvironment } from "#local/shell-environment.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";

const root = join(import.meta.dirname, "..");
const patience = { timeout: PATIENCE_MS, interval: 20 };
let home: string;
let terminal: Terminal | undefined;

interface Terminal {
  readonly pty: IPty;
  /** Output so far, without colors. */
  text(): string;
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
  return (await response.json()) as { readonly job_id: string; readonly status_reason: string | null };
}

/** Joins each line that begins with a time of day with its continuation rows. */
const events = (text: string) =>
  text
    .replace(/\n {12}(?=\S)/g, " ")
    .split("\n")
    .filter((line) => /^\d\d:\d\d:\d\d {2}/.test(line));

describe("npm start on a terminal", () => {
  it("shows a short block, one plain line per event, and what Ctrl-C ends", async () => {
    const { pty, text, ended } = await startOnTerminal();
    const job = { image: "busybox", instance_type: "g4dn.2xlarge", command: "exec sleep 3600", name: "my-train" };

    const { job_id } = await api("POST", "/v1/jobs/submit", job);
    await expect.poll(text, patience).toContain("active until");
    pty.write("\u0003");
    const code = await ended;

    const name = `developer/my-train ${job_id.slice(0, 8)}`;
    const [block = "", rest = ""] = text().split(/(?<= data .*\n)/);
    expect(block.trim().split("\n").length).toBeLessThan(15);
    expect(block).toMatch(/^ {2}console +http:\/\/berth\.localhost:\d+\/login#code=[\w-]{43}$/m);
    expect(block).toMatch(/^ {2}docs +http:\/\/127\.0\.0\.1:\d+\/docs$/m);
    expect(block).toContain(`eval "$(BERTH_HOME='${home.replace("'", "'\\''")}' npm run --silent env)"`);
    expect(events(rest).map((line) => line.slice(10).replace(/ {2,}/, " "))).toEqual([
      `${name} queued: 1 t4-small of g4dn.2xlarge: ${noDiskMessage("job")}`,
      expect.stringMatching(new RegExp(`^${name} preparing: Capacity granted on \\S+$`)),
      expect.stringMatching(new RegExp(`^${name} active until (\\w+ \\d+ )?\\d\\d:\\d\\d$`)),
    ]);
    expect(rest).not.toContain('{"');
    expect(rest.split("\n").filter((line) => /^[\d ]/.test(line) && line.length > 80)).toEqual([]);
    expect(rest).toMatch(
      /Stopping 1 environment: developer\/my-train\nStopped: every environment that ran has ended\./,
    );
    expect(code).toBe(0);
  });

  it("leaves environments running on a second Ctrl-C, and ignores npm's repeated signal", async () => {
    const { pty, text, ended } = await startOnTerminal();
    const job = { image: "busybox", instance_type: "g4dn.2xlarge", command: "exec sleep 3600", name: "goes-on" };
    await api("POST", "/v1/jobs/submit", job);
    await expect.poll(text, patience).toContain("active until");

    pty.write("\u0003\u0003");
    await expect.poll(text, patience).toContain("Press Ctrl-C again to leave it running.");
    pty.write("\u0003");
    const code = await ended;
    const again = await startOnTerminal();
    const { jobs } = (await api("GET", "/v1/jobs?status=active")) as unknown as { jobs: { name: string }[] };
    again.pty.write("\u0003");
    await again.ended;

    expect(text()).toMatch(/1 environment ends in 5 s: developer\/goes-on\n/);
    expect(text()).toMatch(/Stopping, and leaving 1 environment: developer\/goes-on\nStopped\. Environments go on/);
    expect([code, jobs.map(({ name }) => name)]).toEqual([0, ["goes-on"]]);
    expect(again.text()).toMatch(/Stopped: every environment that ran has ended\./);
  });

  it("prints once why a job waits and when it should start, like its API answer", async () => {
    const { pty, text, ended } = await startOnTerminal();
    const job = { image: "busybox", instance_type: "g4dn.2xlarge", command: "exec sleep 3600" };
    await api("POST", "/v1/jobs/submit", { ...job, name: "first" });

    const { job_id } = await api("POST", "/v1/jobs/submit", { ...job, name: "second" });
    await expect.poll(() => events(text()).filter((line) => / waiting/.test(line)), patience).toHaveLength(1);
    const { status_reason } = await api("GET", `/v1/jobs/${job_id}`);
    await sweeps(3);
    // A killed stack leaves its environments running.
    pty.write("\u0003");
    await ended;

    const answers = events(text()).filter((line) => / waiting/.test(line));
    expect(answers).toEqual([
      expect.stringMatching(
        / developer\/second \w{8} {2,}waiting, expected to start at .*, at the latest at .*: Need 1 /,
      ),
    ]);
    expect(answers[0]).toContain(`: ${status_reason}`);
  });

  it.each(["text", "json"])("prints nothing in %s without events", async (format) => {
    const { text } = await startOnTerminal({ LOG_FORMAT: format });
    await sweeps(1);
    const atStart = text();

    await sweeps(3);

    expect(text()).toBe(atStart);
  });

  it("prints JSON with LOG_FORMAT, and all of it with LOG_LEVEL", async () => {
    const { text } = await startOnTerminal({ LOG_FORMAT: "json", LOG_LEVEL: "debug" });

    await expect.poll(text, patience).toMatch(/^\{"time":.*"event":"started","url":"http.*\}$/m);
    await expect.poll(text, patience).toMatch(/^\{"time":.*"level":"debug","event":"sweep".*"sent":0,.*\}$/m);
  });

  it("names an invalid setting in one line", async () => {
    const { text, ended } = await openTerminal({ LOG_FORMAT: "xml", LOG_LEVEL: "loud" });

    expect(await ended).toBe(1);
    expect(text()).toBe(
      "Bad settings:\n  LOG_FORMAT must be text or json\n  LOG_LEVEL must be debug, info, warn or error\n",
    );
  });
});

/** Waits until the sweep has recorded its position `count` times. */
async function sweeps(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) {
    const before = noted();
    await expect.poll(noted, patience).not.toBe(before);
  }
}

function noted(): string {
  return JSON.stringify(findStored(home, "sweep|-"));
}
