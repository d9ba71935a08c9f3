import { spawnSync } from "node:child_process";
import {
  chownSync,
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
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../../tests/fixtures/free-port.ts";
import type { JobSummary } from "../../sdk/jobs.ts";
import { type CliFixture, cleanEnvironment, openCliFixture } from "../cli-fixture.ts";
import { hostNames } from "./ssh-config.ts";

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

test("on is idempotent, off leaves the user's own lines, a link stays a link, and a host of the user is said", async () => {
  const dotfile = join(home, "dotfiles-config");
  const own = "# mine\nHost berth-theirs other\n  User me\n";
  writeFileSync(dotfile, own);
  rmSync(join(home, ".ssh"), { recursive: true, force: true });
  mkdirSync(join(home, ".ssh"));
  symlinkSync(dotfile, join(home, ".ssh/config"));
  await run("up", "-t", "cpu", "theirs");

  expect((await run("ssh-config", "on")).stderr).toContain("has a Host berth-theirs too");
  await run("ssh-config", "on");
  expect(readFileSync(dotfile, "utf8")).toBe(`Include "${cli.state}/berth/ssh_config"\n${own}`);
  expect(await run("ssh-config", "off")).toMatchObject({ code: 0, stdout: "" });
  expect(readFileSync(dotfile, "utf8")).toBe(own);
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

test("a config that is a link to nowhere stays one, and is not taken for a file", async () => {
  const config = linkConfig(join(home, "gone"));

  const on = await run("ssh-config", "on");

  expect([on.code, on.stderr]).toEqual([1, expect.stringContaining("~/.ssh/config is a link that leads nowhere")]);
  expect(on.stderr).toMatch(/^hint: Add this line to it yourself: Include ".*ssh_config"$/m);
  expect(lstatSync(config).isSymbolicLink()).toBe(true);
  expect(await run("ssh-config", "off")).toMatchObject({ code: 0 });
  expect(lstatSync(config).isSymbolicLink()).toBe(true);
});

test("a config that leads to a file of another user is left alone", async ({ skip }) => {
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
  for (const { stderr } of [up, end]) expect(stderr).toMatch(/^note: .*ssh-hosts\.json cannot be read/m);
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
