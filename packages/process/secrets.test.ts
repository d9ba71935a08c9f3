import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import { logText } from "#tests/fixtures/log-text.ts";
import { type Fixture, listProcesses, openFixture } from "./fixture.ts";
import { canSandbox } from "./sandbox/sandbox-probe.ts";

const secret = "open-sesame-7f3a";

describe.each(["bubblewrap", "none"] as const)("the input of a run, isolation %s", { retry: 0 }, (isolation) => {
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }
  let fixture: Fixture | undefined;
  const open = (): Fixture => {
    fixture = openFixture({ isolation });
    return fixture;
  };

  afterEach(async () => {
    await fixture?.close();
  });

  it("appears in no file of the home and no argument: values of the environment", async () => {
    const { compute, runOf, home, uid } = open();

    await compute.apply(runOf({ env: { TOKEN: secret }, command: '[ "$TOKEN" ] && echo given; sleep 3600' }));

    await expect.poll(() => filesUnder(home).length).toBeGreaterThan(3);
    const files = filesUnder(home);
    expect(files.filter((file) => readFileSync(file, "latin1").includes(secret))).toEqual([]);
    const pids = listProcesses(home, uid);
    expect(pids.length).toBeGreaterThan(1);
    expect(pids.filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(secret))).toEqual([]);
  });

  it("appears in no file of the home: the command", async () => {
    const { compute, runOf, home } = open();

    await compute.apply(runOf({ command: `: ${secret}; sleep 3600` }));

    await expect.poll(() => filesUnder(home).length).toBeGreaterThan(3);
    expect(filesUnder(home).filter((file) => readFileSync(file, "latin1").includes(secret))).toEqual([]);
  });

  it("contains nothing of this program's own environment", async () => {
    const { compute, runOf, ended, uid } = open();
    await compute.apply(runOf({ env: { TOKEN: secret, PATH: "/bin:/usr/bin" }, command: "env" }));
    await ended();

    const names = (await logText(compute.readLog(uid, 1))).split("\n").map((line) => line.replace(/=.*/, ""));

    const login = ["HOME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TERM"];
    const expected = ["BERTH_GPUS", "BERTH_RUN", ...login, "TOKEN", "USER", "WORKSPACE"];
    // Every bash sets the last two.
    expect(names.filter((name) => !["", "SHLVL", "_"].includes(name)).sort()).toEqual(expected);
  });

  it("cannot override its identity", async () => {
    const { compute, runOf, ended, uid } = open();
    await compute.apply(runOf({ env: { BERTH_RUN: "x", BERTH_GPUS: "64" }, command: "echo $BERTH_RUN $BERTH_GPUS" }));
    await ended();

    expect(await logText(compute.readLog(uid, 1))).toBe(`${uid}-r1 2\n`);
  });

  it("is one argument of the shell, even with shell syntax", async () => {
    const { compute, runOf, ended, uid } = open();

    await compute.apply(runOf({ command: "-x; echo \"$(echo 'a b')\" `echo c` é🙂" }));

    expect(await ended()).toMatchObject({ exitCode: 0 });
    expect(await logText(compute.readLog(uid, 1))).toMatch(/a b c é🙂\n$/);
  });

  it.each<[string, Partial<Run>]>([
    ["a uid that climbs", { uid: "../../../../etc" }],
    ["a uid in capitals", { uid: "ABCDEF0123456789ABCDEF0123456789" }],
    ["run 0", { run: 0 }],
    ["a fraction of a run", { run: 1.5 }],
    ["a name with a NUL", { env: { "A\0B": secret } }],
    ["a name with an equals sign", { env: { "A=B": secret } }],
    ["a value with a NUL", { env: { A: `${secret}\0` } }],
    ["a command with a NUL", { command: `${secret}\0` }],
    ["no machine", { shares: [] }],
  ])("is refused without being repeated: %s", async (_, changes) => {
    const { compute, runOf } = open();

    const refusal = await compute.apply(runOf(changes)).then(
      () => "accepted",
      (error: unknown) => String(error),
    );

    expect(refusal).toMatch(/^(Error|RunRefused): /);
    expect(refusal).not.toContain(secret);
    expect(await compute.listRuns()).toEqual([]);
  });

  it("ends as not started, without being repeated, if it is too long for a process", async () => {
    const { compute, runOf, ended } = open();

    await compute.apply(runOf({ env: { BIG: secret.repeat(20_000) } }));

    const seen = await ended();
    expect(seen).toMatchObject({ exitCode: null, started: false });
    expect(seen?.reason).toMatch(/^command could not be started/);
    expect(seen?.reason).not.toContain(secret);
  });
});

function filesUnder(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());
}
