import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { JobSummary } from "../sdk/jobs.ts";
import { openServer, type SeenRequest, type ServerFixture } from "../sdk/server-fixture.ts";
import { type CliFixture, openCliFixture } from "./cli-fixture.ts";
import { closeScreens, keys, openScreen, type Screen } from "./screen-fixture.ts";
import { collect } from "./terminal/collect.ts";

let cli: CliFixture;
let proxy: ServerFixture;
/** Changes or holds the answer of the stack. */
let intercept: (request: SeenRequest, forward: () => Promise<Forwarded>) => Promise<Forwarded> = (_, forward) =>
  forward();

type Forwarded = { readonly status: number; readonly body: string };

beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "p5.48xlarge=1,c7i.8xlarge=8" });
  await cli.run("login");
  await cli.run("up", "-t", "h100", "-g", "8", "--hours", "72", "blocks");
  proxy = await openServer((request) => intercept(request, () => forwarded(request)));
});
afterAll(async () => {
  closeScreens();
  proxy.close();
  await cli.close();
});

async function forwarded({ method, path, headers, body }: SeenRequest): Promise<Forwarded> {
  const names = ["authorization", "idempotency-key", "content-type"];
  const sent = names.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]]));
  const init = { method, headers: Object.fromEntries(sent), ...(body !== "" && { body }) };
  const answer = await fetch(cli.running.url + path, init);
  return { status: answer.status, body: await answer.text() };
}

/** Holds one request after the stack has answered it. */
function hold(method: string, path: RegExp) {
  const reached = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  intercept = async (request, forward) => {
    const answer = await forward();
    if (request.method !== method || !path.test(request.path)) return answer;
    reached.resolve();
    await released.promise;
    return answer;
  };
  return { reached: reached.promise, release: () => released.resolve() };
}

/** Separate state for one machine, whose commands go through the proxy. */
async function openMachine() {
  const { API_KEY = "" } = await cli.running.env();
  const directory = mkdtempSync(join(cli.state, "machine-"));
  return {
    directory,
    env: { XDG_CONFIG_HOME: directory, HOME: directory, BERTH_URL: proxy.url, BERTH_API_KEY: API_KEY },
  };
}

async function jobsNamed(name: string): Promise<JobSummary[]> {
  return collect(cli.berth.jobs.list({ name }));
}

function leavingWords(name: string): string {
  return `Come back with: berth attach ${name}. End it with: berth end ${name}`;
}

/** Joins lines that the terminal has wrapped. */
function wordsOn(screen: Screen): string {
  return screen.text().replace(/\s+/g, " ");
}

test("Ctrl-C before the key is known submits nothing", async () => {
  const { directory, env } = await openMachine();
  const source = { kind: "local", home: cli.stack.home, user: "developer" };
  const profile = { key: "k".repeat(20), expiresAt: "2020-01-01T00:00:00Z", username: "developer", source };
  mkdirSync(join(directory, "berth"), { mode: 0o700 });
  writeFileSync(join(directory, "berth/profiles.json"), JSON.stringify({ profiles: { [proxy.url]: profile } }));
  const held = hold("GET", /well-known/);
  const screen = openScreen(cli, { env: { ...env, BERTH_API_KEY: "" } }, "up", "-t", "cpu", "early");
  await held.reached;
  screen.press(keys.interrupt);

  expect(await screen.ended).toBe(130);
  expect(screen.text()).toContain("Nothing was submitted.");
  expect(await jobsNamed("early")).toEqual([]);
  held.release();
});

test("Ctrl-C while the SSH key is created submits nothing", async () => {
  const { directory, env } = await openMachine();
  const script = "#!/bin/sh\necho making >/dev/tty\nexec tail -f /dev/null\n";
  writeFileSync(join(directory, "ssh-keygen"), script, { mode: 0o755 });
  const PATH = `${directory}:${process.env.PATH}`;
  const screen = openScreen(cli, { env: { ...env, PATH } }, "up", "-t", "cpu", "keyless");
  await screen.shows("making");
  screen.press(keys.interrupt);

  expect(await screen.ended).toBe(130);
  expect(screen.text()).toContain("Nothing was submitted.");
  expect(await jobsNamed("keyless")).toEqual([]);
});

test("Ctrl-C during the submit waits for the answer and then says how to reattach", async () => {
  const { env } = await openMachine();
  const held = hold("POST", /submit$/);
  const screen = openScreen(cli, { env }, "up", "-t", "cpu", "answered");
  await held.reached;
  screen.press(keys.interrupt);
  await screen.shows("Another Ctrl-C leaves without it.");
  held.release();

  expect(await screen.ended).toBe(130);
  expect(wordsOn(screen)).toContain(leavingWords("answered"));
  expect(await jobsNamed("answered")).toMatchObject([{ status: expect.stringMatching(/queued|preparing|active/) }]);
});

test.each([
  ["a second Ctrl-C", "two-keys", false],
  ["SIGKILL", "killed", true],
])("%s during the submit loses nothing, and the next up takes the same job over", async (_, name, kills) => {
  const { directory, env } = await openMachine();
  const held = hold("POST", /submit$/);
  const words = ["up", "-t", "cpu", name];
  const screen = openScreen(cli, { env }, ...words);
  await held.reached;
  if (kills) screen.kill("SIGKILL");
  if (!kills) {
    screen.press(keys.interrupt);
    await screen.shows("Another Ctrl-C leaves without it.");
    screen.press(keys.interrupt);
    expect(await screen.ended).toBe(130);
    expect(wordsOn(screen)).toContain("not known whether the job was submitted. See it with: berth ls");
  }
  await screen.ended;
  held.release();
  expect(readdirSync(join(directory, "berth/submits"))).toHaveLength(1);

  const again = await cli.runWith({ env }, ...words);

  expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/State +active/) });
  expect(again.stderr).toContain("Asking again for a submit that was left before its answer.");
  expect(await jobsNamed(name)).toMatchObject([{ status: "active" }]);
  expect(readdirSync(join(directory, "berth/submits"))).toEqual([]);

  expect(await cli.runWith({ env }, ...words)).toMatchObject({ code: 0 });
  expect(await jobsNamed(name)).toHaveLength(2);
  for (const { job_id } of await jobsNamed(name)) await cli.berth.jobs.cancel(job_id);
});

test("an up after a submit whose job has ended meanwhile starts another job, and says so", async () => {
  const { directory, env } = await openMachine();
  const held = hold("POST", /submit$/);
  const words = ["up", "-t", "cpu", "ended-meanwhile"];
  const screen = openScreen(cli, { env }, ...words);
  await held.reached;
  screen.kill("SIGKILL");
  await screen.ended;
  held.release();
  const [left] = await jobsNamed("ended-meanwhile");
  await cli.berth.jobs.cancel(left?.job_id ?? "");

  const again = await cli.runWith({ env }, ...words);

  expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/State +active/) });
  expect(again.stderr).toContain("That job has ended, so another one is submitted.");
  const jobs = await jobsNamed("ended-meanwhile");
  expect(jobs.map(({ status }) => status).toSorted()).toEqual(["active", "cancelled"]);
  expect(readdirSync(join(directory, "berth/submits"))).toEqual([]);
  await cli.run("end", "ended-meanwhile");
});

test("two equal concurrent submits create two jobs", async () => {
  const { env } = await openMachine();
  intercept = (_, forward) => forward();

  const both = await Promise.all([1, 2].map(() => cli.runWith({ env }, "up", "-d", "-t", "h200", "equals")));

  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect(await jobsNamed("equals")).toHaveLength(2);
});

test.each(["queued", "preparing"])("Ctrl-C in the state %s detaches and the job continues", async (status) => {
  const { env } = await openMachine();
  // A second try must not meet the job of the first.
  const name = `left-${status}-${randomBytes(4).toString("hex")}`;
  intercept = async (_, forward) => {
    const answer = await forward();
    return { ...answer, body: answer.body.replaceAll('"status":"active"', `"status":"${status}"`) };
  };
  const machine = status === "queued" ? ["-t", "h100", "-g", "1"] : ["-t", "cpu"];
  const screen = openScreen(cli, { env }, "up", ...machine, name);
  // The line ends here if the environment is active before the first read, and so has no reason.
  await screen.shows(new RegExp(`^${status}( |$)`, "m"));
  screen.press(keys.interrupt);

  expect(await screen.ended).toBe(130);
  expect(wordsOn(screen)).toContain(leavingWords(name));
  const [job] = await jobsNamed(name);
  expect(job?.status).not.toMatch(/cancelled|failed/);
  await cli.run("end", name);
});

test("Ctrl-C while SSH keys of an active job are added detaches from it", async () => {
  const { env } = await openMachine();
  await cli.run("up", "-t", "cpu", "older");
  mkdirSync(join(env.XDG_CONFIG_HOME, "berth"), { recursive: true });
  writeFileSync(join(env.XDG_CONFIG_HOME, "berth/ssh_config"), "");

  const held = hold("POST", /users$/);
  const screen = openScreen(cli, { env }, "up", "-t", "cpu", "entered");
  await held.reached;
  await screen.shows(/^active /m);
  screen.press(keys.interrupt);

  expect(await screen.ended).toBe(130);
  expect(wordsOn(screen)).toContain(leavingWords("entered"));
  expect(await jobsNamed("entered")).toMatchObject([{ status: "active" }]);
});
