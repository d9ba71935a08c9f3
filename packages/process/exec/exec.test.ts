import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { splitShellCommand } from "#core/environments/record/shell-words.ts";
import type { Exec, ExecStatus } from "#core/ports/exec.ts";
import { logText } from "#tests/fixtures/log-text.ts";
import { processCompute } from "../compute.ts";
import { eventually, type Fixture, findPids, openFixture } from "../fixture.ts";
import { PATIENCE_MS } from "../patience-fixture.ts";
import type { Isolation } from "../runs/records.ts";
import { canSandbox } from "../sandbox/sandbox-probe.ts";
import type { Locking } from "../supervisor/lock.ts";
import { openSession } from "../supervisor/sessions.ts";
import { processVolumes } from "../volumes/volumes.ts";
import { forgetOldExecs } from "./exec-record.ts";

const ways: readonly (readonly [Isolation, Locking])[] = [
  ["bubblewrap", "flock"],
  ["none", "file"],
];

describe.each(ways)("a command in a run, isolation %s", (isolation, locking) => {
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  let fixture: Fixture;
  beforeEach(async () => {
    fixture = openFixture({ isolation, locking });
    await fixture.compute.apply(fixture.runOf({ env: { GREETING: "hello" } }));
    await eventually(fixture.observe, (seen) => seen?.state === "ready");
  });
  afterEach(async () => {
    await fixture.close();
  });

  const getExec = (words: readonly string[], changes: Partial<Exec> = {}): Exec => ({
    id: randomBytes(8).toString("hex"),
    words,
    stdin: "",
    env: {},
    directory: undefined,
    timeoutMs: PATIENCE_MS,
    ...changes,
  });
  const start = async (words: readonly string[], changes: Partial<Exec> = {}): Promise<string> => {
    const exec = getExec(words, changes);
    await fixture.compute.startExec(fixture.uid, 1, exec);
    return exec.id;
  };
  const ended = (id: string) =>
    eventually(
      () => fixture.compute.readExec(fixture.uid, 1, id, 4_000),
      (status) => status?.state === "ended",
    ) as Promise<ExecStatus>;
  const sh = async (script: string, changes: Partial<Exec> = {}): Promise<ExecStatus> =>
    ended(await start(["/bin/sh", "-c", "--", script], changes));
  /** Uses the shortest deadline that lets the script come far enough on a busy machine, else the longest. */
  const shUntil = async (script: string, cameFar: (status: ExecStatus) => boolean): Promise<ExecStatus> => {
    for (const timeoutMs of [3_000, 15_000]) {
      const status = await sh(script, { timeoutMs });
      if (cameFar(status)) return status;
    }
    return sh(script, { timeoutMs: PATIENCE_MS });
  };

  it("has the run's environment and directory, and its own variables and input", async () => {
    const status = await sh('echo "$GREETING $WHOM"; cat; cat /dev/stdin >/dev/null; pwd', {
      stdin: "from stdin\n",
      env: { WHOM: "world" },
    });

    expect(status.stdout).toBe(`hello world\nfrom stdin\n${join(fixture.directory, "0/work")}\n`);
  });

  it("has only the variables of the run, its own, and its directory", async () => {
    const ofShells = ["SHLVL", "_"];
    const namesIn = (text: string) => [...text.matchAll(/^(\w+)=/gm)].map(([, name = ""]) => name);
    const ownIn = (text: string) =>
      namesIn(text)
        .filter((name) => !ofShells.includes(name))
        .toSorted();
    await fixture.compute.apply(
      fixture.runOf({ run: 2, env: { GREETING: "hello" }, command: "env; echo end; sleep 3600" }),
    );
    const log = await eventually(
      () => logText(fixture.compute.readLog(fixture.uid, 2)),
      (text) => text.includes("end"),
    );

    const plain = (await ended(await start(["env"], { env: { WHOM: "world" } }))).stdout;
    const wrapped = (await ended(await start(splitShellCommand("env"), { env: { WHOM: "world" } }))).stdout;

    const login = ["HOME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "USER"];
    const names = ["BERTH_GPUS", "BERTH_RUN", "GREETING", ...login, "WORKSPACE"];
    expect(ownIn(log)).toEqual(names);
    expect([ownIn(plain), ownIn(wrapped)]).toEqual([[...names, "WHOM"].toSorted(), [...names, "WHOM"].toSorted()]);
  });

  it("may contain any text, including options and shell syntax", async () => {
    const words = ["printf", "%s|", "-c", "$(id)", "a b", "'", "", "\n"];

    expect((await ended(await start(words))).stdout).toBe("-c|$(id)|a b|'||\n|");
  });

  it("gets a shell's exit code if it or its directory does not exist", async () => {
    expect(await ended(await start(["no-such-program"]))).toMatchObject({ exitCode: 127, stdout: "" });
    expect(await sh("echo never", { directory: "/no/such/place" })).toMatchObject({ exitCode: 2, stdout: "" });
  });

  it("may write invalid UTF-8, and open its streams again", async () => {
    const status = await sh("printf 'a\\377\\000b'; echo again >/dev/stdout; echo error >/dev/stderr");

    expect(status).toMatchObject({ stdout: "a\uFFFD\0bagain\n", stderr: "error\n", exitCode: 0 });
  });

  it("has exit code 128 + the number of the signal that ended it", async () => {
    expect(await sh("kill -9 $$")).toMatchObject({ exitCode: 137 });
    expect(await sh("kill -TERM $$")).toMatchObject({ exitCode: 143 });
  });

  it("does not wait for its background processes, which the deadline ends", async () => {
    const status = await shUntil("sleep 3651 & (sleep 3651 >/dev/null 2>&1 &); echo done", ({ timedOut }) => !timedOut);

    expect(status).toMatchObject({ stdout: "done\n", exitCode: 0, timedOut: false });
    // The deadline ends them, so the command has answered before it.
    await eventually(
      () => findPids(fixture, "sleep 3651"),
      (pids) => pids.length === 2,
    );
    expect(
      await eventually(
        () => findPids(fixture, "sleep 3651"),
        (pids) => pids.length === 0,
      ),
    ).toEqual([]);
  });

  it("is killed at its deadline with its whole session, even if it ignores SIGTERM", async () => {
    const script = 'trap "" TERM; set -m; sleep 3652 & echo before; while :; do sleep 1; done';
    const status = await shUntil(script, ({ stdout }) => stdout === "before\n");

    expect(status).toMatchObject({ exitCode: 124, timedOut: true, stdout: "before\n" });
    expect(findPids(fixture, "sleep 3652")).toEqual([]);
  });

  it("ends although its background process writes forever", async () => {
    const status = await shUntil("yes & echo started >&2", ({ timedOut }) => !timedOut);

    expect(status).toMatchObject({ stderr: "started\n", exitCode: 0 });
    expect(
      await eventually(
        () => findPids(fixture, "yes"),
        (pids) => pids.length === 0,
      ),
    ).toEqual([]);
  });

  it("ends with its run even if it left its session", async () => {
    await sh("setsid sleep 3653 & echo x");
    await eventually(
      () => findPids(fixture, "sleep 3653"),
      (pids) => pids.length === 1,
    );

    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 1, force: false });

    expect(
      await eventually(
        () => findPids(fixture, "sleep 3653"),
        (pids) => pids.length === 0,
      ),
    ).toEqual([]);
  });

  it("survives its caller, and another process can read its result", async () => {
    const id = await start(["/bin/sh", "-c", "sleep 1; echo survived"]);
    const otherProcessCompute = processCompute(fixture.options);
    await otherProcessCompute.adopt();

    expect(
      await eventually(
        () => otherProcessCompute.readExec(fixture.uid, 1, id, 4_000),
        (status) => status?.state === "ended",
      ),
    ).toMatchObject({ stdout: "survived\n", exitCode: 0 });
  });

  it("is reported as killed, with its output, after the run's supervisor was killed", async () => {
    const id = await start(["/bin/sh", "-c", "echo partial; sleep 3654"]);
    await eventually(
      () => fixture.compute.readExec(fixture.uid, 1, id, 0),
      (status) => status?.stdout === "partial\n",
    );

    process.kill(fixture.supervisorPid(), "SIGKILL");

    expect(await ended(id)).toMatchObject({ exitCode: 137, timedOut: false, stdout: "partial\n" });
  });

  it("leaves no file with its input", async () => {
    const id = await start(["cat"], { stdin: "s3cret-input", env: { TOKEN: "s3cret-value" } });
    await ended(id);
    rmSync(join(fixture.directory, "execs", id, "stdout"));

    const files = readdirSync(fixture.directory, { recursive: true, withFileTypes: true }).filter((dirent) =>
      dirent.isFile(),
    );

    expect(files.length).toBeGreaterThan(3);
    for (const { parentPath, name } of files)
      expect(readFileSync(join(parentPath, name), "utf8")).not.toContain("s3cret");
  });

  it("refuses invalid ids and NUL characters without repeating a value", async () => {
    await expect(start(["true"], { id: "../up" })).rejects.toThrow("The id of the exec is not valid");
    await expect(start(["echo", "s3cret\0"])).rejects.toThrow(/^The command contains a NUL character$/);
  });

  it("reports the last directory of its shell, as seen inside, however it ended", async () => {
    const shell = async (text: string, directory?: string) =>
      ended(await start(splitShellCommand(text), { directory }));

    const made = await shell("mkdir -p 'a b' && cd 'a b' && exit 3", "/workspace");
    const there = await shell("pwd -P | sed 's/.*\\///'; cd ..; pwd >/dev/null; nonsense", "/workspace/a b");
    const syntax = await shell('echo "', "/workspace");
    const gone = await shell("cd /tmp; exec true", "/workspace");

    expect(made).toMatchObject({ exitCode: 3, directory: "/workspace/a b", stdout: "", stderr: "" });
    expect(there).toMatchObject({ exitCode: 127, directory: "/workspace", stdout: "a b\n" });
    expect(syntax).toMatchObject({ exitCode: 2, directory: "/workspace", stdout: "" });
    expect(syntax.stderr).toContain("Syntax error");
    expect(gone).toMatchObject({ exitCode: 0, directory: "/workspace" });
  });

  it("sees a volume at its path, even through a link", async () => {
    const volumes = processVolumes({ home: fixture.home });
    const volume = await volumes.createVolume({ token: "v", sizeGb: 1, zone: "local", snapshotId: undefined });
    await fixture.compute.apply(fixture.runOf({ run: 2, mounts: [{ volume, path: "/workspace" }] }));
    await eventually(
      () => fixture.compute.observe(fixture.uid, 2),
      (seen) => seen?.state === "ready",
    );
    const exec = getExec(
      splitShellCommand("mkdir -p deep; cd deep; echo $PWD; pwd -P >$BERTH_DIRECTORY_FILE; kill -9 $$"),
    );

    await fixture.compute.startExec(fixture.uid, 2, { ...exec, directory: "/workspace" });
    const status = await eventually(
      () => fixture.compute.readExec(fixture.uid, 2, exec.id, 4_000),
      (seen) => seen?.state === "ended",
    );

    expect(status).toMatchObject({ exitCode: 137, stderr: "", directory: "/workspace/deep" });
  });

  it("has no directory if it reports an invalid one", async () => {
    const said = async (script: string) => (await sh(script)).directory;
    const saidByShell = async (script: string) =>
      (await ended(await start(splitShellCommand(`trap - EXIT; ${script}`)))).directory;

    expect(await saidByShell('echo nowhere >"$BERTH_DIRECTORY_FILE"')).toBeNull();
    expect(await saidByShell('head -c 100000 /dev/zero | tr "\\0" / >"$BERTH_DIRECTORY_FILE"')).toBeNull();
    expect(await said("exec 3>mine; echo mine >&3; cat mine >/dev/null")).toBeNull();
  });

  it("counts as a session of its run while its process lives", async () => {
    const close = openSession(fixture.directory, process.pid);
    openSession(fixture.directory, 2 ** 22 + 1);
    const go = join(fixture.directory, "0/work/go");
    const id = await start(["/bin/sh", "-c", "until [ -e go ]; do sleep 0.05; done"]);
    const during = (await fixture.observe())?.sessions;
    writeFileSync(go, "");
    await ended(id);
    const after = (await fixture.observe())?.sessions;
    close();

    expect([during, after, (await fixture.observe())?.sessions]).toEqual([2, 1, 0]);
  });

  it("is deleted after ten minutes, or beyond the newest 200 once clients have had time to read it", async () => {
    const place = join(fixture.directory, "execs");
    const ids = await Promise.all(Array.from({ length: 3 }, () => start(["true"])));
    await Promise.all(ids.map(ended));
    const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000);
    utimesSync(join(place, ids[0] ?? "", "ended.json"), minutesAgo(11), minutesAgo(11));
    utimesSync(join(place, ids[1] ?? "", "ended.json"), minutesAgo(9), minutesAgo(9));

    forgetOldExecs(fixture.directory, Date.now());

    expect(readdirSync(place).toSorted()).toEqual(ids.slice(1).toSorted());
    expect(await fixture.compute.readExec(fixture.uid, 1, ids[0] ?? "", 1_000)).toBeUndefined();
    expect(statSync(join(place, ids[1] ?? "")).mode & 0o077).toBe(0);
  });
});
