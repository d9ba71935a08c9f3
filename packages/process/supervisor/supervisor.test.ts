import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { processCompute } from "../compute.ts";
import { eventually, type Fixture, listProcesses, openFixture } from "../fixture.ts";
import { PATIENCE_MS } from "../patience-fixture.ts";
import { buildLaunchPlan } from "../runs/plan.ts";
import { readProcesses, writeMark } from "../runs/records.ts";
import { makeRunDirectory } from "../runs/run-directory.ts";
import { compileCache, systemPath } from "../sandbox/local-path.ts";
import { askControlSocket } from "./control-socket.ts";
import { type Locking, lockFile } from "./lock.ts";
import { isAlive } from "./process-identity.ts";
import { openSupervisorPlace } from "./supervisor-place.ts";

const supervisor = join(import.meta.dirname, "supervisor.ts");

describe("the supervisor of a home", () => {
  let fixture: Fixture;
  beforeEach(() => {
    fixture = openFixture();
  });
  afterEach(async () => {
    await fixture.close();
  });

  const applyAll = (commands: readonly (string | undefined)[]) =>
    Promise.all(commands.map((command, n) => fixture.compute.apply(fixture.runOf({ run: n + 1, command }))));
  const getDirectory = (run: number) => join(fixture.home, "runs", `${fixture.uid}-r${run}`);
  const findSupervisor = (run: number) => readProcesses(getDirectory(run))?.supervisor;
  const seen = (run: number) => fixture.compute.observe(fixture.uid, run);
  const ready = (run: number) =>
    eventually(
      () => seen(run),
      (found) => found?.state === "ready",
    );
  const ended = (run: number) =>
    eventually(
      () => seen(run),
      (found) => found?.state === "ended",
    );
  const supervisors = () =>
    listProcesses(fixture.home, fixture.uid).filter((pid) => listWords(pid).includes(supervisor));

  const spawned = async (place: string, locking: Locking) => {
    const env = { PATH: systemPath, NODE_COMPILE_CACHE: compileCache(fixture.home) };
    const words = [supervisor, place, locking];
    const child = spawn(process.execPath, words, { env, stdio: ["ignore", "ignore", "ignore", "pipe"] });
    const [word] = await once(child.stdio[3] ?? child, "data");
    return { child, word: String(word) };
  };
  const start = async (place: string, locking: Locking) => (await spawned(place, locking)).word;
  /** Stops the supervisor that holds the lock: without a run it would end before others ask on a busy machine. */
  const startHeld = async (place: string, locking: Locking) => {
    const { child, word } = await spawned(place, locking);
    if (word !== "ready") return { child, word };
    child.kill("SIGSTOP");
    const state = await eventually(
      () => /\) (\S)/.exec(read(`/proc/${child.pid}/stat`))?.[1] ?? "gone",
      (seen) => ["T", "Z", "gone"].includes(seen),
    );
    return { child, word: state === "T" ? "held" : "left" };
  };

  it("is one process for all runs, even with concurrent callers", async () => {
    const others = [1, 2].map(() => processCompute(fixture.options));
    const runs = [1, 2, 3, 4, 5, 6].map((run) => fixture.runOf({ run }));

    await Promise.all(runs.map((run, n) => (others[n % 3] ?? fixture.compute).apply(run)));
    await Promise.all(runs.map(({ run }) => ready(run)));

    expect(new Set(runs.map(({ run }) => findSupervisor(run)?.pid)).size).toBe(1);
    expect(supervisors()).toEqual([findSupervisor(1)?.pid]);
  });

  it.each(["flock", "file"] as const)("is the only one of many that start at once (%s)", async (locking) => {
    const place = openSupervisorPlace(fixture.home);

    const all = await Promise.all([1, 2, 3, 4].map(() => startHeld(place, locking)));
    for (const { child } of all) child.kill("SIGKILL");

    // On a busy machine one may end before it is stopped, and the next may then take the lock.
    const words = all.map(({ word }) => word);
    expect(words.filter((word) => word === "held").length).toBeLessThanOrEqual(1);
    expect(words.filter((word) => word !== "busy").length).toBeGreaterThanOrEqual(1);
  });

  it("ends without runs, and the next run gets another", async () => {
    await applyAll(["exit 3"]);
    await ended(1);
    const first = findSupervisor(1);
    await eventually(supervisors, (pids) => pids.length === 0);

    await fixture.compute.apply(fixture.runOf({ run: 2 }));

    expect(await ready(2)).toMatchObject({ state: "ready" });
    expect(first && isAlive(first)).toBe(false);
    expect(await seen(1)).toMatchObject({ state: "ended", exitCode: 3 });
  });

  it("leaves no process alive when it is killed, and its runs have ended and do not restart", async () => {
    const command = "echo begun >> begun; sleep 3600";
    await applyAll([command, command, command]);
    const begun = (run: number) => read(join(getDirectory(run), "0/work/begun"));
    await eventually(
      () => [1, 2, 3].map(begun),
      (texts) => texts.every((text) => text !== ""),
    );

    process.kill(findSupervisor(1)?.pid ?? 0, "SIGKILL");
    await Promise.all([1, 2, 3].map((run) => fixture.compute.apply(fixture.runOf({ run, command }))));

    for (const run of [1, 2, 3]) {
      expect(await ended(run)).toMatchObject({ reason: "the environment's process was killed from outside" });
      expect(begun(run)).toBe("begun\n");
    }
    await fixture.compute.apply(fixture.runOf({ run: 4 }));
    expect(await ready(4)).toMatchObject({ state: "ready" });
  });

  it("keeps its runs beside a supervisor of newer code, which gets all new ones", async () => {
    const older = join(fixture.home, "supervisors", "older");
    mkdirSync(older, { recursive: true });
    writeFileSync(join(older, lockFile), "");
    expect(await start(older, "flock")).toBe("ready");
    const run = fixture.runOf();
    const name = `${fixture.uid}-r1`;
    const { isolation, network } = fixture.compute;
    const input = { home: fixture.home, isolation, network, locking: "flock" } as const;
    const limits = { groups: null, rlimits: null, processes: 1_024 };
    makeRunDirectory(getDirectory(1), 1, { "run.json": "{}", lock: "" });
    const plan = buildLaunchPlan(run, name, { ...input, limits, programs: { path: systemPath, shown: [] } });
    expect(await askControlSocket(older, plan, 10_000)).toBe("started");

    await processCompute(fixture.options).adopt();
    await fixture.compute.apply(run);
    await fixture.compute.apply(fixture.runOf({ run: 2 }));

    expect([await ready(1), await ready(2)]).toMatchObject([{ state: "ready" }, { state: "ready" }]);
    expect(supervisors().toSorted()).toEqual([findSupervisor(1)?.pid, findSupervisor(2)?.pid].toSorted());
    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0, force: true });
    await eventually(
      () => seen(1),
      (found) => found === undefined,
    );
    await eventually(supervisors, (pids) => pids.length === 1);
    expect(await seen(2)).toMatchObject({ state: "ready" });
    await processCompute(fixture.options).adopt();
    expect(existsSync(older)).toBe(false);
  });

  it("retries to record the end of an exec, and ends nothing else", async () => {
    await applyAll(["sleep 3600"]);
    await ready(1);
    const exec = { words: ["/bin/true"], stdin: "", env: {}, directory: undefined, timeoutMs: 600_000 };
    // A directory in its place blocks the record of the end.
    const inTheWay = join(getDirectory(1), "execs/one/ended.json");
    mkdirSync(inTheWay, { recursive: true });

    await fixture.compute.startExec(fixture.uid, 1, { id: "one", ...exec });
    // The reserve is freed just before the end is written.
    await eventually(
      async () => existsSync(join(inTheWay, "../reserve")),
      (isKept) => !isKept,
    );
    rmSync(inTheWay, { recursive: true });

    const read = () => fixture.compute.readExec(fixture.uid, 1, "one", 1_000);
    expect(await eventually(read, (found) => found?.state === "ended")).toMatchObject({ exitCode: 0 });
    expect(await seen(1)).toMatchObject({ state: "ready" });
  });

  it("ends only the run whose marks cannot be read", async () => {
    await applyAll(["sleep 3600", "sleep 3600"]);
    await Promise.all([1, 2].map(ready));

    mkdirSync(join(getDirectory(1), "stopped"));

    expect(await ended(1)).toMatchObject({ reason: "the environment could not be supervised any longer" });
    expect(await seen(2)).toMatchObject({ state: "ready" });
    expect([findSupervisor(2)].map((identity) => identity && isAlive(identity))).toEqual([true]);
    const noted = read(join(openSupervisorPlace(fixture.home), "errors"));
    expect(noted).toContain("readMark");
    expect(noted).not.toContain(fixture.home);
  });

  it("ends a run that cannot start, and survives invalid plans", async () => {
    await applyAll(["sleep 3600"]);
    await ready(1);

    for (const plan of [{}, { home: fixture.home, name: "../.." }, { home: "/nowhere", name: `${fixture.uid}-r9` }]) {
      await expect(askControlSocket(openSupervisorPlace(fixture.home), plan, 5_000)).rejects.toThrow();
    }

    expect(await seen(1)).toMatchObject({ state: "ready" });
    await fixture.compute.apply(fixture.runOf({ run: 2 }));
    expect(await ready(2)).toMatchObject({ state: "ready" });
    expect(supervisors()).toHaveLength(1);
  });

  it("is replaced if it does not answer a start", async () => {
    await applyAll(["sleep 3600"]);
    await ready(1);
    process.kill(findSupervisor(1)?.pid ?? 0, "SIGSTOP");

    const impatient = processCompute({ ...fixture.options, startedWithinMs: 500 });
    await expect(impatient.apply(fixture.runOf({ run: 2 }))).rejects.toThrow("The run has not begun");

    expect(await ready(2)).toMatchObject({ state: "ready" });
    expect(await ended(1)).toMatchObject({ reason: "the environment's process was killed from outside" });
  });

  it("serves other runs while one prints endlessly", async () => {
    await applyAll(["yes", "yes", "sleep 3600"]);
    await Promise.all([1, 2, 3].map(ready));

    const exec = { words: ["/bin/echo", "heard"], stdin: "", env: {}, directory: undefined, timeoutMs: PATIENCE_MS };
    await fixture.compute.startExec(fixture.uid, 3, { id: "one", ...exec });

    const read = () => fixture.compute.readExec(fixture.uid, 3, "one", 1_000);
    expect(await eventually(read, (found) => found?.state === "ended")).toMatchObject({ stdout: "heard\n" });
    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0, force: true });
    await eventually(
      () => seen(1),
      (found) => found === undefined,
    );
    expect(await seen(2)).toMatchObject({ state: "ready" });
  });

  it("obeys a mark without a signal", async () => {
    await applyAll(["sleep 3600"]);
    await ready(1);

    writeMark(fixture.directory, "until", Date.now() - 1);

    expect((await ended(1))?.reason).toContain("DeadlineExceeded");
  });

  it("keeps secrets out of every file and argument", async () => {
    const secret = "s3cret-of-the-run";
    await fixture.compute.apply(fixture.runOf({ env: { TOKEN: secret }, command: "sleep 3600" }));
    await ready(1);

    const words = listProcesses(fixture.home, fixture.uid).map((pid) => read(`/proc/${pid}/cmdline`));
    const files = readdirSync(fixture.home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const texts = files.map(({ parentPath, name }) => read(join(parentPath, name)));

    expect(words.length).toBeGreaterThan(1);
    expect([...words, ...texts].filter((text) => text.includes(secret))).toEqual([]);
  });
});

function listWords(pid: number): string[] {
  return read(`/proc/${pid}/cmdline`).split("\0");
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
