import { spawnSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { freePort } from "../../../tests/fixtures/free-port.ts";
import type { JobSummary } from "../../sdk/jobs.ts";
import { openServer } from "../../sdk/server-fixture.ts";
import { type CliFixture, cleanEnvironment, openCliFixture } from "../cli-fixture.ts";
import { hostNames } from "./ssh-hosts.ts";

let cli: CliFixture;
let home: string;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "c7i.8xlarge=4" });
  home = mkdtempSync(join(tmpdir(), "berth-home-"));
  await cli.run("login");
});
afterAll(async () => {
  await cli.close();
  rmSync(home, { recursive: true });
});

const opened: { close(): void }[] = [];
afterEach(() => {
  for (const { close } of opened.splice(0)) close();
});

const run = (...words: string[]) => cli.runWith({ env: { HOME: home } }, ...words);

/** OpenSSH reads the file of the account and not of HOME, so the test names the file. */
function ssh(words: readonly string[], input = "") {
  const all = ["-F", join(home, ".ssh/config"), ...words];
  return spawnSync("ssh", all, { env: cleanEnvironment(), encoding: "utf8", input });
}

test("ssh reaches jobs by their names, as an editor does, until they end", async () => {
  await run("up", "-t", "cpu", "Editor");
  expect(await run("ssh-config", "on")).toMatchObject({ code: 0, stdout: "berth-editor\n" });
  const config = join(home, ".ssh/config");
  expect(statSync(config).mode & 0o777).toBe(0o600);

  // Remote-SSH of VS Code sends a script to a shell, with a SOCKS port beside it.
  const socks = ["-T", "-D", String(await freePort())];
  expect(ssh([...socks, "berth-editor", "sh", "-s"], "echo sent; exit 4\n")).toMatchObject({
    status: 4,
    stdout: "sent\n",
  });
  expect(ssh([...socks, "berth-editor", "bash --login -c 'echo in $0'"])).toMatchObject({
    status: 0,
    stdout: "in bash\n",
  });

  await run("up", "-t", "cpu", "a name\n  ProxyCommand touch /tmp/x\n");
  expect(readFileSync(join(cli.state, "berth/ssh_config"), "utf8")).not.toContain("ProxyCommand");
  await run("end", "--all", "--yes");
  expect(readFileSync(join(cli.state, "berth/ssh_config"), "utf8")).not.toContain("Host");
});

const hosts = () => readFileSync(join(cli.state, "berth/ssh_config"), "utf8").match(/^Host \S+/gm) ?? [];

test("the entries of any number of jobs cost one list of the jobs and one look at the gateway's host keys", async () => {
  const counted = await openCounted();
  for (const name of ["one", "two", "three"]) await counted.run("up", "-t", "cpu", name);

  const requests = await counted.requestsOf("ssh-config", "on");
  expect(requests.toSorted()).toEqual(["GET /.well-known/berth", "GET /v1/jobs"]);
  expect(hosts()).toEqual(["Host berth-three", "Host berth-two", "Host berth-one"]);

  await counted.run("end", "--all", "--yes");
  await run("ssh-config", "off");
});

test.each([["ls"], ["ls --all"], ["ls --json --status active,queued"]])(
  "berth %s removes the entries of ended jobs and adds those of new ones, without another request",
  async (words) => {
    const counted = await openCounted();
    const withoutEntries = await counted.requestsOf(...words.split(" "));
    for (const name of ["stays", "goes"]) await counted.run("up", "-t", "cpu", name);
    await counted.run("ssh-config", "on");
    keepEntryOfAnotherDeployment();
    const { stdout } = await counted.run("up", "-d", "-t", "cpu", "comes");
    await cli.berth.jobs.wait(stdout.trim(), { until: "active" });
    for await (const { job_id, name } of cli.berth.jobs.list({ status: ["active"] })) {
      if (name === "goes") await cli.berth.jobs.act(job_id, { action: "cancel" });
    }
    expect((await counted.run("ls", "--status", "queued")).code).toBe(0);
    expect(hosts()).toEqual(["Host berth-goes", "Host berth-stays"]);

    expect(await counted.requestsOf(...words.split(" "))).toEqual(withoutEntries);

    expect(hosts()).toEqual(["Host berth-comes", "Host berth-stays", "Host berth-other"]);
    expect(ssh(["berth-comes", "echo in"])).toMatchObject({ status: 0, stdout: "in\n" });
    await run("ssh-config", "off");
    expect((await counted.run(...words.split(" "))).code).toBe(0);
    expect(existsSync(join(cli.state, "berth/ssh_config"))).toBe(false);
    await counted.run("end", "--all", "--yes");
  },
);

function keepEntryOfAnotherDeployment(): void {
  const path = join(cli.state, "berth/ssh-hosts.json");
  const otherEntry = { url: "https://other.example", text: "Host berth-other\n" };
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), other: otherEntry }));
}

/** The same deployment at another address, which counts the requests of commands. */
async function openCounted() {
  const { url, seen, close } = await openServer(async ({ method, path, body, headers: { authorization = "" } }) => {
    const sent = { method, headers: { authorization }, ...(method === "POST" && { body }) };
    const response = await fetch(cli.running.url + path, sent);
    return { status: response.status, body: await response.json() };
  });
  opened.push({ close });
  const key = /API_KEY='([^']+)'/.exec((await cli.run("env")).stdout)?.[1] ?? "";
  const env = { HOME: home, BERTH_URL: url, BERTH_API_KEY: key };
  const runCounted = (...words: string[]) => cli.runWith({ env }, ...words);
  return {
    run: runCounted,
    async requestsOf(...words: string[]) {
      seen.length = 0;
      const { code, stderr } = await runCounted(...words);
      expect([code, stderr.replace(/^You have no .*\n/, "")]).toEqual([0, ""]);
      return seen.map(({ method, path }) => `${method} ${path.replace(/\?.*/, "")}`);
    },
  };
}

test("on is idempotent, off keeps the user's own lines, a link stays a link, and a host of the user is reported", async () => {
  const dotfile = join(home, "dotfiles-config");
  const ownName = "# mine\nHost berth-theirs other\n  User me\n";
  writeFileSync(dotfile, ownName);
  rmSync(join(home, ".ssh"), { recursive: true, force: true });
  mkdirSync(join(home, ".ssh"));
  symlinkSync(dotfile, join(home, ".ssh/config"));
  await run("up", "-t", "cpu", "theirs");

  expect((await run("ssh-config", "on")).stderr).toContain("has a Host berth-theirs too");
  await run("ssh-config", "on");
  expect(readFileSync(dotfile, "utf8")).toBe(`Include "${cli.state}/berth/ssh_config"\n${ownName}`);
  expect(await run("ssh-config", "off")).toMatchObject({ code: 0, stdout: "" });
  expect(readFileSync(dotfile, "utf8")).toBe(ownName);
  await run("end", "theirs");
});

/** Makes `~/.ssh/config` a link to this file. */
function linkConfig(target: string): string {
  const config = join(home, ".ssh/config");
  rmSync(join(home, ".ssh"), { recursive: true, force: true });
  mkdirSync(join(home, ".ssh"));
  symlinkSync(target, config);
  return config;
}

test("a config that is a broken link stays one, and is not treated as a file", async () => {
  const config = linkConfig(join(home, "gone"));

  const on = await run("ssh-config", "on");

  expect([on.code, on.stderr]).toEqual([1, expect.stringContaining("~/.ssh/config is a link that leads nowhere")]);
  expect(on.stderr).toMatch(/^hint: Add this line to it yourself: Include ".*ssh_config"$/m);
  expect(lstatSync(config).isSymbolicLink()).toBe(true);
  expect(await run("ssh-config", "off")).toMatchObject({ code: 0 });
  expect(lstatSync(config).isSymbolicLink()).toBe(true);
});

test("a config that links to a file of another user stays unchanged", async ({ skip }) => {
  skip(process.getuid?.() !== 0, "only root can give a file to another user");
  const theirs = join(home, "theirs");
  writeFileSync(theirs, "Host other\n");
  chownSync(theirs, 12_345, 12_345);
  linkConfig(theirs);

  const { code, stderr } = await run("ssh-config", "on");

  expect([code, stderr]).toEqual([1, expect.stringContaining("~/.ssh/config belongs to another user")]);
  expect([readFileSync(theirs, "utf8"), statSync(theirs).uid]).toEqual(["Host other\n", 12_345]);
  rmSync(join(home, ".ssh"), { recursive: true });
});

test("off waits for another berth that writes the entries", async () => {
  const lock = join(cli.state, "berth/ssh-config.lock");
  writeFileSync(lock, JSON.stringify({ host: "another machine", pid: 1, start: "1" }));

  const off = cli.start({ env: { HOME: home } }, "ssh-config", "off");
  await off.says("Waiting for another berth that holds");
  rmSync(lock);

  expect(await off.ended).toMatchObject({ code: 0 });
});

test("entries that cannot be written hide neither the start nor the end of a job", async () => {
  await run("ssh-config", "on");
  const entries = join(cli.state, "berth/ssh-hosts.json");
  rmSync(entries);
  mkdirSync(entries);

  const up = await run("up", "-t", "cpu", "blocked");
  const end = await run("end", "blocked");

  expect(up).toMatchObject({ code: 0, stdout: expect.stringContaining("berth ssh blocked") });
  expect(end).toMatchObject({ code: 0, stdout: expect.stringContaining("Ended blocked") });
  const list = await run("ls");
  expect(list).toMatchObject({ code: 0, stdout: expect.stringContaining("blocked") });
  for (const { stderr } of [up, end, list]) expect(stderr).toMatch(/^note: .*ssh-hosts\.json cannot be read/m);
  rmSync(entries, { recursive: true });
  await run("ssh-config", "off");
});

test.each(["a\nHost *", "*", "a b", ""])(
  "a job id of %j, which would match other hosts of the user, gets no entry",
  (id) => {
    const job = { job_id: id, name: "train" } as JobSummary;

    expect(() => hostNames(job)).toThrow("sent an invalid job id");
    expect(hostNames({ ...job, job_id: "0a1b2c3d-0000" })).toEqual(["berth-train", "berth-0a1b2c3d"]);
  },
);
