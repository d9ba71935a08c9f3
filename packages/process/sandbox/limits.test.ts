import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import { logText } from "#tests/fixtures/log-text.ts";
import { eventually, type Fixture, listProcesses, openFixture } from "../fixture.ts";
import { PATIENCE_MS } from "../patience-fixture.ts";
import { describeEnd } from "../supervisor/exit.ts";
import { findControlGroups } from "./control-groups.ts";
import { computeLimits, describeLimitWay, describeRunLimits, findLimits, type LimitWay } from "./limits.ts";
import { findRlimits, rlimitCommand } from "./rlimits.ts";
import { canSandbox } from "./sandbox-probe.ts";

const resources = { cpus: 0.5, memoryMb: 96 };
const read = (...parts: readonly string[]) => readFileSync(join(...parts), "utf8");
const processes = 64;
const noWay: LimitWay = { processes, groups: null, rlimits: null };

describe("the limits of a run", () => {
  const run = (changes: Partial<Run>): Run => ({
    uid: "0".repeat(32),
    run: 1,
    key: "k",
    name: "n",
    pool: "p",
    instanceType: "m7i.8xlarge",
    image: "i",
    command: undefined,
    env: {},
    shares: [{ node: "one", units: 1 }],
    gpusPerMachine: 0,
    mounts: [],
    ports: [],
    resources: null,
    until: 0,
    ...changes,
  });
  const getBounds = (changes: Partial<Run>) => computeLimits(run(changes), "run", noWay).bounds;

  it("are the requested ones within this machine's, and a number of processes", () => {
    const small = getBounds({ resources });
    const large = getBounds({ resources: { cpus: 100_000, memoryMb: 1e9 } });

    expect(small).toEqual({ cpus: 0.5, memoryMb: 96, processes: 64 });
    expect(large).toEqual({ cpus: null, memoryMb: null, processes: 64 });
  });

  it("default to its share of its machines", () => {
    const part = (changes: Partial<Run>) => getBounds({ instanceType: "g4dn.2xlarge", pool: "t4-small", ...changes });

    const whole = part({ gpusPerMachine: 1, shares: [{ node: "one", units: 1 }] });
    const none = part({ gpusPerMachine: 0.001, shares: [{ node: "one", units: 1 }] });
    const two = part({ gpusPerMachine: 0.001, shares: ["one", "two"].map((node) => ({ node, units: 1 })) });

    expect(whole.memoryMb === null || whole.memoryMb === 32 * 1024).toBe(true);
    expect(none).toEqual({ cpus: 0.008, memoryMb: 32, processes: 64 });
    expect(two).toEqual({ cpus: 0.016, memoryMb: 65, processes: 128 });
  });

  it("give each process its share, regardless of a resize", () => {
    const way = { processes, groups: null, rlimits: { memory: true, processes: true } };

    const { rlimits } = computeLimits(run({ resources }), "run", way);
    const without = computeLimits(run({}), "run", { ...way, rlimits: { memory: false, processes: false } }).rlimits;

    expect(rlimits?.memoryMb === null || rlimits?.memoryMb === 4_096).toBe(true);
    expect(without).toEqual({ memoryMb: null, processes: null });
  });

  it("are described only as far as they hold", () => {
    const places = { memory: "/m", cpu: "/c", pids: "/p" };
    const ways: Omit<LimitWay, "processes">[] = [
      { groups: { version: 2, places }, rlimits: null },
      { groups: { version: 1, places: { pids: "/p" } }, rlimits: null },
      { groups: null, rlimits: { memory: true, processes: true } },
      { groups: null, rlimits: { memory: true, processes: false } },
      { groups: null, rlimits: { memory: false, processes: false } },
      noWay,
    ];
    const bounds = { cpus: null, memoryMb: null, processes: 1 };
    const each = { group: null, rlimits: { memoryMb: 1, processes: 1 }, bounds };
    const gone = { group: { version: 1 as const, places }, rlimits: null, bounds };

    expect(ways.map(describeLimitWay)).toEqual([
      "cgroup-v2 (memory, cpu, processes)",
      "cgroup-v1 (processes)",
      "rlimit (memory of each process, processes)",
      "rlimit (memory of each process)",
      "none",
      "none",
    ]);
    expect([each, gone].map(describeRunLimits)).toEqual(["rlimit (memory of each process, processes)", "none"]);
  });

  it("appear in the reason of a command that exceeded them", () => {
    const options = { hasCommand: true, oomKills: 1, isOverLimit: true };

    const ends = [137, 143].map((code) => describeEnd({ code, signal: null }, options).reason);

    expect(ends).toEqual([
      "command was killed by signal SIGKILL: it used more memory than it may",
      "command was killed by signal SIGTERM",
    ]);
  });
});

describe("inherited limits of a process", () => {
  const under = (memoryMb: number, words: readonly string[]) => {
    const [file = "", ...args] = [...rlimitCommand({ memoryMb, processes: null }), ...words];
    return spawnSync(file, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  };

  it("refuse memory beyond them, but not reserved address space", ({ skip }) => {
    if (!findRlimits("none").memory) skip("this machine has no prlimit, or no such limits");
    const most = "new WebAssembly.Memory({ initial: 1, maximum: 65536 }).grow(16)";

    const hog = under(64, ["tail", "/dev/zero"]);
    const reserving = under(2_048, [process.execPath, "-e", `process.stdout.write(String(${most}))`]);

    expect([hog.status, hog.stderr]).toEqual([1, expect.stringContaining("memory exhausted")]);
    expect([reserving.status, reserving.stdout]).toEqual([0, "1"]);
  });

  it("do not count processes if those of others would count too", () => {
    expect(findRlimits("none").processes).toBe(false);
    expect(findRlimits("bubblewrap").processes && process.getuid?.() === 0).toBe(false);
  });
});

/** One process takes all memory, because it buffers an endless line. */
const hog = "exec tail /dev/zero";
/** Uses memfd_create, for which not every machine has a program. */
const memoryFile = (megabytes: number) => {
  const script = `$name = "file"; open(F, "+<&=", syscall(${process.arch === "arm64" ? 279 : 319}, $name, 0)) or die $!;
    print F "x" x 1_000_000 for 1 .. ${megabytes}; close(F) or die $!; print "${megabytes} MB\\n"`;
  return `perl -e '${script}'`;
};
/** Starts more processes than allowed, but not too many for a machine without limits. Prints if none was refused. */
const bomb = "sleep 3600 & (n=0; while [ $n -lt 300 ]; do sleep 3600 & n=$((n + 1)); done; echo unheld); wait";
const isolations = ["bubblewrap", "none"] as const;
const versionHere = findControlGroups()?.version;
/** Missing features, by mechanism. Each has its own title, because only some may be skipped. */
const missing = {
  "cgroup-v2": versionHere === 2 ? undefined : "control groups of version 2 that are handed on",
  "cgroup-v1": versionHere === 1 ? undefined : "control groups of version 1 that can be written to",
  rlimit: findRlimits("none").memory ? undefined : "prlimit, and limits of memory",
} as const;
const combinations = (["cgroup-v2", "cgroup-v1", "rlimit"] as const).flatMap((form) =>
  isolations.map((isolation) => [form, isolation] as const),
);

describe.each(combinations)("a run limited by %s, isolation %s", (form, isolation) => {
  const need = isolation === "bubblewrap" && !canSandbox() ? "bubblewrap that works" : missing[form];
  if (need !== undefined) {
    it(`needs ${need}`, ({ skip }) => skip("this machine has none"));
    return;
  }

  let fixture: Fixture;
  const found = form === "rlimit" ? { groups: null, rlimits: findRlimits(isolation) } : findLimits(isolation);
  const way: LimitWay = { ...found, processes };
  const none = () => undefined;
  const [inGroups, ofEach] = form === "rlimit" ? [none, it] : [it, none];
  const counting = way.groups?.places.pids !== undefined || way.rlimits?.processes === true ? it : none;
  beforeEach(() => {
    fixture = openFixture({ isolation, limits: way });
  });
  afterEach(() => fixture.close());
  const ready = () => eventually(fixture.observe, (seen) => seen?.state === "ready");
  const shared = { instanceType: "m7i.8xlarge", shares: [{ node: "one", units: 1 }], gpusPerMachine: 0 };
  const groups = () => Object.values(way.groups?.places ?? {}).flatMap((place) => readdirSync(place));
  const ownGroups = () => groups().filter((name) => name.includes(fixture.uid));

  inGroups("reports its limits, follows only newer changes, and leaves no group", async () => {
    await fixture.compute.apply(fixture.runOf({ ...shared, resources }));
    const seen = await ready();
    const made = ownGroups().length;

    await fixture.compute.resize(fixture.uid, 1, { cpus: 1e6, memoryMb: 1e9 }, 2);
    await fixture.compute.resize(fixture.uid, 1, resources, 1);
    const raised = await fixture.observe();
    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0, force: true });
    await eventually(fixture.observe, (now) => now === undefined);

    expect(seen?.limits).toBe(`${form} (memory, cpu, processes)`);
    expect(raised?.limits).toBe(`${form} (processes; memory and cpu: all that this machine has)`);
    expect([made > 0, ownGroups()]).toEqual([true, []]);
  });

  inGroups("is killed beyond its memory limit, with that reason", async () => {
    await fixture.compute.apply(fixture.runOf({ ...shared, resources, command: hog }));

    const seen = await fixture.ended();

    expect(seen?.reason).toBe("command was killed by signal SIGKILL: it used more memory than it may");
  });

  inGroups("counts files in memory towards its memory limit", async () => {
    const command = `${memoryFile(1)} && exec ${memoryFile(200)}`;
    await fixture.compute.apply(fixture.runOf({ ...shared, resources, command }));

    const seen = await fixture.ended();

    expect(await logText(fixture.compute.readLog(fixture.uid, 1))).toBe("1 MB\n");
    expect(seen?.reason).toBe("command was killed by signal SIGKILL: it used more memory than it may");
  });

  inGroups("may use more after its limit was raised", async () => {
    const command =
      'until [ -e "$WORKSPACE/more" ]; do sleep 0.05; done; head -c 150000000 /dev/zero | tail -c 149000000 | wc -c';
    await fixture.compute.apply(fixture.runOf({ ...shared, resources, command }));
    await ready();

    await fixture.compute.resize(fixture.uid, 1, { cpus: 1, memoryMb: 512 }, 1);
    const exec = { id: "more", words: ["/bin/sh", "-c", 'touch "$WORKSPACE/more"'], stdin: "", env: {} };
    await fixture.compute.startExec(fixture.uid, 1, { ...exec, directory: undefined, timeoutMs: PATIENCE_MS });
    const seen = await fixture.ended();

    expect([seen?.exitCode, await logText(fixture.compute.readLog(fixture.uid, 1))]).toEqual([0, "149000000\n"]);
  });

  inGroups("leaves no group after its supervisor was killed and the stack has restarted", async () => {
    await fixture.compute.apply(fixture.runOf({ ...shared, resources }));
    await ready();
    process.kill(fixture.supervisorPid(), "SIGKILL");
    await fixture.ended();

    await eventually(
      () => fixture.compute.adopt(),
      () => ownGroups().length === 0,
    );

    expect(ownGroups()).toEqual([]);
  });

  ofEach("says what holds of each of its processes, which have it", async () => {
    const input = "prlimit --noheadings --output RESOURCE,HARD --data --nproc; sleep 3600";
    await fixture.compute.apply(fixture.runOf({ ...shared, resources, command: input }));
    const seen = await ready();
    const lines = await eventually(
      () => logText(fixture.compute.readLog(fixture.uid, 1)),
      (log) => log.includes("NPROC"),
    );

    const [, data = ""] = /DATA\s+(\S+)/.exec(lines) ?? [];
    const [, nproc = ""] = /NPROC\s+(\S+)/.exec(lines) ?? [];
    expect(seen?.limits).toBe(describeLimitWay(way));
    expect([data, nproc === "64"]).toEqual([String(4_096 * 1024 * 1024), way.rlimits?.processes]);
  });

  counting("that starts processes without end is held, and is still seen and ended", async () => {
    await fixture.compute.apply(fixture.runOf({ ...shared, resources, command: bomb }));
    await eventually(
      () => logText(fixture.compute.readLog(fixture.uid, 1)),
      (log) => /fork|unheld/i.test(log),
    );

    const seen = await fixture.observe();
    const running = listProcesses(fixture.home, fixture.uid).length;
    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0, force: true });
    await eventually(fixture.observe, (now) => now === undefined);

    expect(seen).toMatchObject({ state: "ready", limits: expect.stringContaining("processes") });
    // Some of our own processes are outside the limit: the creator of the sandbox and its supervisor.
    expect(running).toBeLessThan(processes + 16);
    expect(running).toBeGreaterThan(processes / 2);
  });
});

describe.each(isolations)("a run whose groups are plain directories, isolation %s", (isolation) => {
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  let fixture: Fixture;
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "berth-groups-"));
    const places = { memory: join(root, "memory"), cpu: join(root, "cpu"), pids: join(root, "pids") };
    fixture = openFixture({ isolation, limits: { processes, groups: { version: 1, places }, rlimits: null } });
  });
  afterEach(async () => {
    await fixture.close();
    rmSync(root, { recursive: true });
  });
  const ready = () => eventually(fixture.observe, (seen) => seen?.state === "ready");
  const place = (controller: string) => join(root, controller, `berth-${fixture.uid}-r1`);

  it("joins each group before it runs", async () => {
    await fixture.compute.apply(fixture.runOf({ resources }));
    const seen = await ready();

    // Writing 0 moves the writer (cgroups(7)). A plain directory only stores the text.
    await eventually(
      () => existsSync(join(place("pids"), "cgroup.procs")) && read(place("pids"), "cgroup.procs"),
      (text) => text === "0\n",
    );
    const joined = ["memory", "cpu", "pids"].map((controller) => read(place(controller), "cgroup.procs"));
    expect(joined).toEqual(["0\n", "0\n", "0\n"]);
    expect(seen?.limits).toBe("cgroup-v1 (memory, cpu, processes)");
  });

  it("runs with the limits that can be written, and reports those", async () => {
    mkdirSync(join(place("cpu"), "cpu.cfs_period_us"), { recursive: true });

    await fixture.compute.apply(fixture.runOf({ resources }));
    const seen = await ready();

    expect(seen?.limits).toBe("cgroup-v1 (memory, processes)");
    expect(existsSync(join(place("cpu"), "cgroup.procs"))).toBe(false);
  });
});
