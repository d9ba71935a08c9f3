import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { logText } from "#tests/fixtures/log-text.ts";
import { processCompute } from "./compute.ts";
import { eventually, type Fixture, findPids, fixtureNodes, listProcesses, openFixture } from "./fixture.ts";
import { describeIsolation } from "./network/network.ts";
import { type Isolation, readProcesses } from "./runs/records.ts";
import { canSandbox } from "./sandbox/sandbox-probe.ts";
import type { Locking } from "./supervisor/lock.ts";
import { isAlive } from "./supervisor/process-identity.ts";

const ways: readonly (readonly [Isolation, Locking])[] = [
  ["bubblewrap", "flock"],
  ["none", "file"],
];
const gently = { graceSeconds: 10, force: false };

describe.each(ways)("process compute, isolation %s, lock by %s", (isolation, locking) => {
  const options = { isolation, locking };
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  let fixture: Fixture;
  beforeEach(() => {
    fixture = openFixture(options);
  });
  afterEach(async () => {
    await fixture.close();
  });
  const log = () => logText(fixture.compute.readLog(fixture.uid, 1));
  /** On a busy machine `apply` returns before the run is ready. */
  const ready = () => eventually(fixture.observe, (seen) => seen?.state === "ready");

  it("reports its isolation, and that no image was pulled, when it is ready", async () => {
    await fixture.compute.apply(fixture.runOf());

    expect(await ready()).toMatchObject({
      isolation: describeIsolation(isolation, fixture.compute.network),
      notes: [
        "image recorded, not pulled: the command runs with this machine's own tools",
        "no disk: files are lost with the environment",
      ],
    });
  });

  it("names the signal of a command that was killed from outside", async () => {
    await fixture.compute.apply(fixture.runOf({ command: "sleep 3611" }));
    const [pid = 0] = await eventually(
      () => findPids(fixture, "sleep 3611"),
      (pids) => pids.length > 0,
    );

    process.kill(pid, "SIGKILL");

    // Do not compare the end: parallel tests may put the machine out of memory.
    const reason = expect.stringMatching(/^command was killed by signal SIGKILL/);
    expect(await fixture.ended()).toMatchObject({ started: true, exitCode: null, reason });
  });

  it("notices that the supervisor was killed, and leaves nothing of the run alive", async () => {
    await fixture.compute.apply(fixture.runOf());
    await ready();

    process.kill(fixture.supervisorPid(), "SIGKILL");

    const reason = "the environment's process was killed from outside";
    expect(await fixture.ended()).toMatchObject({ started: true, exitCode: null, reason, endedAt: null });
    expect(await fixture.observe()).toMatchObject({ reason, endedAt: null });
    await eventually(
      () => listProcesses(fixture.home, fixture.uid),
      (pids) => pids.length === 0,
    );
    await fixture.compute.apply(fixture.runOf());
    expect(await fixture.observe()).toMatchObject({ state: "ended", reason, endedAt: null });
  });

  it("ends the command when the supervisor gets SIGTERM", async () => {
    await fixture.compute.apply(fixture.runOf());
    await ready();

    process.kill(fixture.supervisorPid(), "SIGTERM");

    expect(await fixture.ended()).toMatchObject({ reason: "the environment's process was killed from outside" });
  });

  it("lets a later process of the same home see and remove runs, without starting them again", async () => {
    const run = fixture.runOf({ command: "echo begun >> begun; sleep 3600" });
    await fixture.compute.apply(run);
    const later = processCompute(fixture.options);

    await later.adopt();
    await later.apply(run);

    expect(await ready()).toMatchObject({ started: true });
    expect(await eventually(begun, (text) => text !== "")).toBe("begun\n");
    await later.remove(fixture.uid, 1, gently);
    await eventually(fixture.observe, (seen) => seen === undefined);
    expect(await later.listRuns()).toEqual([]);
  });

  it("starts a run once when two processes apply it at the same moment", async () => {
    const run = fixture.runOf({ command: "echo begun >> begun; sleep 3600" });

    await Promise.all([1, 2, 3].map(() => applyElsewhere(fixture, run)));
    await eventually(begun, (text) => text !== "");
    await sleep(300);

    expect(begun()).toBe("begun\n");
    expect(await fixture.observe()).toMatchObject({ state: "ready" });
  });

  it("gives the machines of a run their ranks and a common address", async () => {
    const shares = fixtureNodes.map(({ name }) => ({ node: name, units: 8 }));
    const command = 'echo "$NODE_RANK of $NNODES at $MASTER_ADDR:$MASTER_PORT with $BERTH_GPUS of $WORLD_SIZE"';

    await fixture.compute.apply(fixture.runOf({ shares, gpusPerMachine: 8, command }));

    expect(await fixture.ended()).toMatchObject({ exitCode: 0, nodes: [{ name: "one" }, { name: "two" }] });
    const [, port] = /:(\d+)/.exec(await log()) ?? [];
    const lines = (await log()).trimEnd().split("\n");
    expect(lines.toSorted()).toEqual([0, 1].map((rank) => `${rank} of 2 at 127.0.0.1:${port} with 8 of 16`));
  });

  it("shows each machine of a run a hostfile with a slot for each GPU", async () => {
    const shares = fixtureNodes.map(({ name }) => ({ node: name, units: 8 }));
    const command = 'cat "$BERTH_HOSTFILE"';

    await fixture.compute.apply(fixture.runOf({ name: "train", shares, gpusPerMachine: 8, command }));

    expect(await fixture.ended()).toMatchObject({ exitCode: 0 });
    const sandboxed = ["train slots=8", "train slots=8", "train-1 slots=8", "train-1 slots=8"];
    const bare = ["localhost slots=16", "localhost slots=16"];
    expect((await log()).trimEnd().split("\n").toSorted()).toEqual(isolation === "bubblewrap" ? sandboxed : bare);
  });

  it("ends a run when any of its machines fails", async () => {
    const shares = fixtureNodes.map(({ name }) => ({ node: name, units: 8 }));
    const command = 'if [ "$NODE_RANK" = 1 ]; then exit 7; fi; sleep 3600';

    await fixture.compute.apply(fixture.runOf({ shares, command }));

    expect(await fixture.ended()).toMatchObject({ exitCode: 7, reason: null });
  });

  it("ends background processes with their command", async () => {
    const elsewhere = `cd /; setsid sleep 3600 & env -i sh -c 'sleep 3600; : ${fixture.uid}' &`;
    const command = `setsid sleep 3600 & setsid env -i sleep 3600 & (${elsewhere}); sleep 0.1; exit 4`;
    await fixture.compute.apply(
      fixture.runOf({
        command,
      }),
    );

    expect(await fixture.ended()).toMatchObject({ exitCode: 4 });
    await eventually(
      () => listProcesses(fixture.home, fixture.uid),
      (pids) => pids.length === 0,
    );
  });

  it("removes processes that fork, change session, clear their environment and ignore SIGTERM", async () => {
    const stubborn = `trap "" TERM; while :; do sleep 1; done`;
    const command = `${stubborn} & setsid sh -c '${stubborn}' & (setsid env -i sh -c '${stubborn}' &); ${stubborn}`;
    await fixture.compute.apply(fixture.runOf({ command }));
    await eventually(
      () => findPids(fixture, "sleep").length,
      (count) => count >= 4,
    );
    await ready();
    const supervisor = fixture.supervisorPid();

    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0.3, force: false });

    await eventually(fixture.observe, (seen) => seen === undefined);
    expect(listProcesses(fixture.home, fixture.uid).filter((pid) => pid !== supervisor)).toEqual([]);
  });

  it("lets a command finish its work within the grace period", async () => {
    const [saved, result] = ["saved", "read"].map((name) => join(fixture.directory, "0/work", name)) as [
      string,
      string,
    ];
    const save = `echo saved > ${saved}; until [ -e ${result} ]; do sleep 0.05; done; exit 0`;
    const command = `trap '${save}' TERM; echo set; while :; do sleep 0.05; done`;
    await fixture.compute.apply(fixture.runOf({ command }));
    await eventually(log, (text) => text === "set\n");

    await fixture.compute.remove(fixture.uid, 1, gently);

    await eventually(
      () => existsSync(saved) && readFileSync(saved, "utf8"),
      (text) => text === "saved\n",
    );
    writeFileSync(result, "");
    await eventually(fixture.observe, (seen) => seen === undefined);
  });

  it("finishes a removal although the supervisor is frozen", async () => {
    await fixture.compute.apply(fixture.runOf());
    await ready();
    process.kill(fixture.supervisorPid(), "SIGSTOP");

    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0.1, force: false });
    const meanwhile = await fixture.observe();

    expect(meanwhile).toMatchObject({ terminating: true });
    await eventually(fixture.observe, (seen) => seen === undefined);
  });

  it("finishes an interrupted removal at the next start", async () => {
    await fixture.compute.apply(fixture.runOf());
    await ready();
    process.kill(fixture.supervisorPid(), "SIGSTOP");
    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 60, force: false });
    const supervisor = readProcesses(fixture.directory)?.supervisor;
    process.kill(fixture.supervisorPid(), "SIGKILL");
    await eventually(
      () => supervisor && isAlive(supervisor),
      (lives) => lives === false,
    );

    // A start does not wait for processes that die slowly.
    const left = await eventually(
      async () => {
        await processCompute(fixture.options).adopt();
        return fixture.compute.listRuns();
      },
      (runs) => runs.length === 0,
    );

    expect(left).toEqual([]);
  });

  it("deletes runs that never started at the next start, so they can start again", async () => {
    await fixture.compute.apply(fixture.runOf());
    await ready();
    process.kill(fixture.supervisorPid(), "SIGKILL");
    await fixture.ended();
    await fixture.observe();
    rmSync(join(fixture.directory, "processes.json"));
    rmSync(join(fixture.directory, "end.json"));
    const half = await fixture.observe();

    await processCompute(fixture.options).adopt();

    expect(half).toBeUndefined();
    expect(await fixture.compute.listRuns()).toEqual([]);
    await fixture.compute.apply(fixture.runOf());
    expect(await ready()).toMatchObject({ started: true });
  });

  it("reports a run only after its supervisor has started it", async () => {
    await fixture.compute.apply(fixture.runOf());
    process.kill(fixture.supervisorPid(), "SIGSTOP");

    const impatient = processCompute({ ...fixture.options, startedWithinMs: 500 });
    const applied = impatient.apply(fixture.runOf({ run: 2 }));

    await expect(applied).rejects.toThrow("The run has not begun");
    expect(await fixture.compute.listRuns()).toHaveLength(2);
    expect(await fixture.compute.observe(fixture.uid, 2)).toBeUndefined();
    process.kill(fixture.supervisorPid(), "SIGCONT");
    await eventually(
      () => fixture.compute.observe(fixture.uid, 2),
      (seen) => seen?.state === "ready",
    );
  });

  it("kills the processes of a run that lost its directory", async () => {
    await fixture.compute.apply(fixture.runOf());
    rmSync(fixture.directory, { recursive: true });

    await fixture.compute.endRun(fixture.uid, 1);

    await eventually(
      () => listProcesses(fixture.home, fixture.uid),
      (pids) => pids.length === 0,
    );
  });

  it("ends every run when the stack stops, and records why", async () => {
    const otherRun = fixture.runOf({ run: 2, command: 'trap "" TERM; while :; do sleep 1; done' });
    await Promise.all([fixture.compute.apply(fixture.runOf()), fixture.compute.apply(otherRun)]);

    await fixture.compute.shutdown();

    expect(listProcesses(fixture.home, fixture.uid)).toEqual([]);
    const later = processCompute(fixture.options);
    const ends = await Promise.all([1, 2].map((run) => later.observe(fixture.uid, run)));
    const end = { state: "ended", exitCode: null, reason: "The local stack was stopped", isDisrupted: true };
    expect(ends).toMatchObject([end, end]);
    await expect(fixture.compute.apply(fixture.runOf({ run: 3 }))).rejects.toThrow("being stopped");
  });

  it("never starts a run that was still being started when the stack stopped", async () => {
    await fixture.compute.apply(fixture.runOf());
    const supervisor = fixture.supervisorPid();
    process.kill(supervisor, "SIGSTOP");
    const applied = fixture.compute.apply(fixture.runOf({ run: 2, command: "touch begun" }));
    const stopped = fixture.compute.shutdown();
    process.kill(supervisor, "SIGCONT");
    await Promise.allSettled([applied, stopped]);

    expect(await fixture.compute.observe(fixture.uid, 2)).toMatchObject({
      state: "ended",
      reason: "The local stack was stopped",
    });
    expect(existsSync(join(fixture.home, "runs", `${fixture.uid}-r2`, "0/work/begun"))).toBe(false);
  });

  it("keeps the reason of a run that ended before the stack stopped", async () => {
    await fixture.compute.apply(fixture.runOf({ command: "exit 5" }));
    await fixture.ended();

    await fixture.compute.shutdown();

    const seen = await fixture.observe();
    expect(seen).toMatchObject({ exitCode: 5, reason: null });
    expect(seen).not.toHaveProperty("isDisrupted");
  });

  const begun = () => {
    try {
      return readFileSync(join(fixture.directory, "0/work/begun"), "utf8");
    } catch {
      return "";
    }
  };
});

function applyElsewhere(fixture: Fixture, run: unknown): Promise<void> {
  const compute = fileURLToPath(new URL("./compute.ts", import.meta.url));
  const text = `const { processCompute } = await import(process.argv[1]);
    await processCompute(JSON.parse(process.argv[2])).apply(JSON.parse(process.argv[3]));`;
  const words = ["--input-type=module", "-e", text, compute, JSON.stringify(fixture.options), JSON.stringify(run)];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "ignore", "inherit"] });
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`The process ended with ${code}`))));
  });
}
