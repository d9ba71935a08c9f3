import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { endOf } from "./exit.ts";
import { countGroupOomKills, findGroups, isLimited, limitGroup, makeGroup, removeGroup } from "./limits.ts";
import { canSandbox } from "./sandbox-probe.ts";
import { eventually, openTrial, type Trial } from "./trial.ts";

const resources = { cpus: 1.5, memoryMb: 2_048 };
const read = (...parts: readonly string[]) => readFileSync(join(...parts), "utf8");

describe("control groups", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "berth-groups-"));
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  /** A plain directory with the files of a control group in it. */
  const groupAt = (name: string, { has, hands }: { has: string; hands: string }) => {
    mkdirSync(join(root, name), { recursive: true });
    writeFileSync(join(root, name, "cgroup.controllers"), `${has}\n`);
    writeFileSync(join(root, name, "cgroup.subtree_control"), `${hands}\n`);
  };

  it("are made below the process's own, where that hands its controllers on", () => {
    groupAt("own", { has: "cpu io memory", hands: "cpu memory" });
    groupAt("own/berth", { has: "cpu memory", hands: "" });

    expect(findGroups(root, "/own")).toBe(join(root, "own/berth"));
    expect(read(root, "own/berth/cgroup.subtree_control")).toBe("+cpu +memory");
    expect(read(root, "own/cgroup.subtree_control")).toBe("cpu memory\n");
  });

  it("are not used where there are none, or they have no controllers for us", () => {
    groupAt("own", { has: "io", hands: "io" });
    groupAt("own/berth", { has: "io", hands: "" });

    expect(findGroups(root, "/own")).toBeNull();
    expect(findGroups(root, "/elsewhere")).toBeNull();
    expect(findGroups(root, undefined)).toSatisfy((found) => found === null || typeof found === "string");
  });

  it("hold a run to its memory and its share of time, as they are moved", () => {
    const group = join(root, "run");

    const isMade = makeGroup(group, resources);
    const first = [read(group, "memory.max"), read(group, "cpu.max")];
    writeFileSync(join(group, "memory.swap.max"), "max");
    limitGroup(group, { cpus: 0.25, memoryMb: 512 });

    expect([isMade, isLimited(group), isLimited(null)]).toEqual([true, true, false]);
    expect(first).toEqual([String(2_048 * 1024 * 1024), "150000 100000"]);
    expect([read(group, "memory.max"), read(group, "cpu.max"), read(group, "memory.swap.max")]).toEqual([
      String(512 * 1024 * 1024),
      "25000 100000",
      "0",
    ]);
  });

  it("are none where they cannot be made", () => {
    writeFileSync(join(root, "file"), "");

    expect(makeGroup(join(root, "file/run"), resources)).toBe(false);
    expect(isLimited(join(root, "file/run"))).toBe(false);
  });

  it("count what was killed at their limit, and are removed once they are empty", () => {
    const group = join(root, "run");
    mkdirSync(group);
    writeFileSync(join(group, "memory.events"), "low 0\nmax 7\noom 2\noom_kill 2\n");
    const killed = countGroupOomKills(group);
    rmSync(join(group, "memory.events"));

    removeGroup(group);
    removeGroup(group);

    expect([killed, countGroupOomKills(group), existsSync(group)]).toEqual([2, 0, false]);
  });

  it("are named in the end of a command that used too much", () => {
    const options = { hasCommand: true, oomKills: 1, isOverLimit: true };

    const ends = [137, 143].map((code) => endOf({ code, signal: null }, options).reason);

    expect(ends).toEqual([
      "command was killed by signal SIGKILL: it used more memory than it may",
      "command was killed by signal SIGTERM",
    ]);
  });
});

describe.each(["bubblewrap", "none"] as const)("a run in a control group, isolation %s", (isolation) => {
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has none that works"));
    return;
  }

  let trial: Trial;
  let groups: string;
  beforeEach(() => {
    groups = mkdtempSync(join(tmpdir(), "berth-groups-"));
    trial = openTrial({ isolation, groups });
  });
  afterEach(async () => {
    await trial.close();
    rmSync(groups, { recursive: true });
  });
  const ready = () => eventually(trial.observe, (seen) => seen?.state === "ready");
  const group = () => join(groups, `${trial.uid}-r1`);

  it("joins it before it runs, says so, and is moved with it", async () => {
    await trial.compute.apply(trial.runOf({ resources }));
    const seen = await ready();

    await trial.compute.resize(trial.uid, 1, { cpus: 3, memoryMb: 4_096 });

    expect(seen).toMatchObject({ limits: "cgroup" });
    // Whoever writes 0 is moved himself (cgroups(7)); in a directory like this one that is all that happens.
    expect(read(group(), "cgroup.procs")).toBe("0\n");
    expect([read(group(), "memory.max"), read(group(), "cpu.max")]).toEqual([
      String(4_096 * 1024 * 1024),
      "300000 100000",
    ]);
  });

  it("is in none where it asks for no limits, and is not moved later", async () => {
    await trial.compute.apply(trial.runOf());
    await ready();

    await trial.compute.resize(trial.uid, 1, resources);

    expect(await trial.observe()).toMatchObject({ limits: "none" });
    expect(existsSync(group())).toBe(false);
  });
});
