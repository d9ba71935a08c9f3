import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type CliFixture, cleanEnvironment, openCliFixture } from "../cli-fixture.ts";

let cli: CliFixture;
let key: string;
let place: string;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "c7i.8xlarge=4" });
  key = (await cli.running.env()).API_KEY ?? "";
  place = mkdtempSync(join(tmpdir(), "berth-odd-"));
});
afterAll(async () => {
  await cli.close();
  rmSync(place, { recursive: true });
});

const canUseBubblewrap = spawnSync("bwrap", ["--bind", "/", "/", "--unshare-user", "true"]).status === 0;
beforeEach(({ skip }) => skip(!canUseBubblewrap, "bubblewrap does not run here"));

const program = join(import.meta.dirname, "../berth.mjs");

interface Place {
  /** Options of bubblewrap. */
  readonly mounts?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Runs a shell in a sandbox without HOME and XDG_CONFIG_HOME. `berth` is a function there. */
async function inSandbox({ mounts = [], env = {}, input = "" }: Place, script: string) {
  const { HOME: _, XDG_CONFIG_HOME: __, ...clean } = cleanEnvironment();
  const sandbox = ["--bind", "/", "/", "--dev-bind", "/dev", "/dev", "--chdir", place, ...mounts];
  const shell = `berth() { '${process.execPath}' '${program}' "$@"; }; ${script}`;
  const child = spawn("bwrap", [...sandbox, "--", "bash", "--norc", "-c", shell], { env: { ...clean, ...env } });
  const parts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) child[name].on("data", (part) => (parts[name] += part));
  child.stdin.on("error", () => undefined).end(input);
  const [code] = await once(child, "close");
  return { code, ...parts };
}

/** A user id that no passwd entry has, so that nothing names a home directory. */
const nobody = ["--unshare-user", "--uid", "12345", "--gid", "12345"];
const moveHint = "hint: Set XDG_CONFIG_HOME to a directory of yours that can be written.\n";

test.each(["ls", "me", "up -t cpu", "ssh-config on", "logout", "login --key-stdin"])(
  "without a home directory berth %s says so in one sentence",
  async (words) => {
    const answer = await inSandbox(
      { mounts: nobody, input: key, env: { BERTH_URL: cli.running.url } },
      `berth ${words}`,
    );

    expect(answer).toEqual({ code: 1, stdout: "", stderr: `error: You have no home directory\n${moveHint}` });
  },
);

test("without a home directory the key and the address of the environment are enough to read", async () => {
  const env = { BERTH_URL: cli.running.url, BERTH_API_KEY: key };

  expect(await inSandbox({ mounts: nobody, env }, "berth me && berth ls --all --json")).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^User +developer .*\n[\s\S]*\[\]\n$/m),
    stderr: "",
  });
});

test("without HOME the home directory of the passwd entry is used", async () => {
  const env = { BERTH_URL: cli.running.url };

  expect((await inSandbox({ env }, "berth ls")).stderr).toContain(`You are not logged in to ${cli.running.url}`);
});

const fill = "cat /dev/zero > /tmp/config/filler";
const profiles = "/tmp/config/berth/profiles.json";
/** The checkout, which may be in the directory that the sandbox hides. */
const root = join(import.meta.dirname, "../../..");

test.each([
  ["full", "the disk is full", fill, () => ["--size", "65536", "--tmpfs", "/tmp/config"]],
  ["read-only", "the file system is read-only", "true", () => ["--ro-bind", join(place, "stored"), "/tmp/config"]],
] as const)("on a %s disk each command reports that, and the state stays intact", async (_, reason, spoil, mounts) => {
  const stored = join(place, "stored");
  mkdirSync(join(stored, "berth"), { recursive: true });
  writeFileSync(join(stored, "berth/profiles.json"), JSON.stringify(oldProfiles()));
  const prepare = `[ -d ${profiles.replace("/profiles.json", "")} ] || cp -R ${stored}/berth /tmp/config; ${spoil} 2> /dev/null`;
  const script = `${prepare}; berth login --key-stdin; echo $?; berth up -t cpu lost; echo $?; cat ${profiles}; find /tmp/config/berth -type f`;
  const sandbox = ["--tmpfs", "/tmp", "--bind", root, root, "--bind", place, place, ...mounts()];
  const env = { XDG_CONFIG_HOME: "/tmp/config", BERTH_URL: cli.running.url };

  const { stdout, stderr } = await inSandbox({ mounts: sandbox, env, input: key }, script);

  expect(stdout).toBe(`1\n1\n${JSON.stringify(oldProfiles())}${profiles}\n`);
  const error = `error: /tmp/config/berth/\\S+ cannot be written: ${reason}\n${moveHint}`;
  expect(stderr).toMatch(new RegExp(`^${error}error: .*\n${moveHint}$`));
  expect(await jobNames()).toEqual([]);
});

function oldProfiles() {
  const profile = { key, expiresAt: "2100-01-01T00:00:00Z", username: "developer", source: { kind: "given" } };
  return { current: cli.running.url, profiles: { [cli.running.url]: profile } };
}

async function jobNames(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of cli.berth.jobs.list()) names.push(name);
  return names;
}

test("a job whose key cannot be stored after the submit is still shown", async () => {
  await cli.run("login");
  writeFileSync(join(cli.state, "berth/let-in"), "");

  const { code, stdout, stderr } = await cli.run("up", "-t", "cpu", "noted");

  expect([code, stdout]).toEqual([0, expect.stringMatching(/^SSH +berth ssh noted$/m)]);
  expect(stderr).toMatch(/^note: \S+let-in\/\S+ cannot be written: a file is in the place of its directory$/m);
  rmSync(join(cli.state, "berth/let-in"));
  expect(await cli.run("ssh", "noted", "--", "echo in")).toMatchObject({ code: 0, stdout: "in\n" });
});
