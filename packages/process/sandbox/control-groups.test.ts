import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type Bounds,
  type ControlGroup,
  countGroupOomKills,
  findControlGroups,
  groupIn,
  inGroup,
  limitGroup,
  makeGroup,
  readLimits,
  removeGroup,
} from "./control-groups.ts";

const bounds: Bounds = { cpus: 1.5, memoryMb: 2_048, processes: 100 };
const twoGb = String(2_048 * 1024 * 1024);
const all = () => true;

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "berth-groups-"));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

const read = (...parts: readonly string[]) => readFileSync(join(root, ...parts), "utf8");
/** Creates plain directories with the files of control groups. */
const groupAt = (name: string, files: Readonly<Record<string, string>>) => {
  mkdirSync(join(root, name), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(root, name, file), `${text}\n`);
};

describe("control groups of version 2 are found", () => {
  const mounts = (seen = "/") => `30 23 0:26 ${seen} ${root} rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n`;
  const find = (ownName: string, seen?: string) =>
    findControlGroups({ own: `0::${ownName}\n`, mounts: mounts(seen) }, all);

  it("in the process's own group, with the controllers that it delegates", () => {
    groupAt("own", { "cgroup.controllers": "cpu io memory pids", "cgroup.subtree_control": "cpu memory pids" });

    const found = find("/own");

    const ownName = join(root, "own");
    expect(found).toEqual({ version: 2, places: { memory: ownName, cpu: ownName, pids: ownName } });
  });

  it("in the own group as a container sees it", () => {
    groupAt("own", { "cgroup.controllers": "pids", "cgroup.subtree_control": "pids" });

    const found = find("/machine/box/own", "/machine/box");

    expect(found).toEqual({ version: 2, places: { pids: join(root, "own") } });
  });

  it("beside the own group, if its parent delegates more controllers", () => {
    groupAt("slice", { "cgroup.controllers": "memory pids", "cgroup.subtree_control": "memory pids" });
    groupAt("slice/own", { "cgroup.controllers": "", "memory.max": "max", "cpu.max": "max 100000" });

    const found = find("/slice/own");

    const slice = join(root, "slice");
    expect(found).toEqual({ version: 2, places: { memory: slice, pids: slice } });
  });

  it("never beside a limited own group, nor outside of the mount", () => {
    groupAt("slice", { "cgroup.controllers": "memory pids", "cgroup.subtree_control": "memory pids" });
    groupAt("slice/own", { "cgroup.controllers": "", "memory.max": "1048576" });

    expect([find("/slice/own"), find("/../other"), find("/elsewhere/own", "/machine")]).toEqual([null, null, null]);
  });

  it("nowhere, if they do not limit in fact", () => {
    groupAt("own", { "cgroup.controllers": "cpu memory pids", "cgroup.subtree_control": "cpu memory pids" });
    const sources = { own: "0::/own\n", mounts: mounts() };

    const found = findControlGroups(sources, (_, controller) => controller === "pids");
    const none = findControlGroups(sources, () => false);

    expect([found?.places, none]).toEqual([{ pids: join(root, "own") }, null]);
  });
});

describe("control groups of version 1 are found", () => {
  it("below the own group of each controller, if version 2 has none", () => {
    for (const name of ["memory/box", "cpu,cpuacct", "pids", "unified"]) groupAt(name, { "cgroup.controllers": "" });
    const mount = (name: string, type = "cgroup", options = name) =>
      `31 23 0:27 / ${join(root, name)} rw,relatime - ${type} ${type} rw,${options}\n`;
    const mounts = [mount("memory"), mount("cpu,cpuacct"), mount("pids"), mount("unified", "cgroup2", "")].join("");
    const ownName = "4:memory:/box\n3:cpu,cpuacct:/\n2:pids:/gone\n1:name=systemd:/\n0::/\n";

    const found = findControlGroups({ own: ownName, mounts }, all);

    expect(found?.version).toBe(1);
    expect(found?.places).toEqual({ memory: join(root, "memory/box"), cpu: `${join(root, "cpu,cpuacct")}/` });
  });

  it("nowhere on a system without groups", () => {
    expect(findControlGroups({ own: "", mounts: "" }, all)).toBeNull();
  });
});

describe.each([1, 2] as const)("a control group of version %i", (version) => {
  const files = {
    1: { memory: "memory.limit_in_bytes", cpu: "cpu.cfs_quota_us", kills: "memory.oom_control" },
    2: { memory: "memory.max", cpu: "cpu.max", kills: "memory.events" },
  }[version];
  const place = (controller: string) => (version === 2 ? "run" : `${controller}/run`);
  const parent = (): ControlGroup => {
    const directory = (controller: string) => (version === 2 ? root : join(root, controller));
    return { version, places: { memory: directory("memory"), cpu: directory("cpu"), pids: directory("pids") } };
  };
  const group = () => groupIn(parent(), "run");

  it("limits a run's memory, processor time and processes, even after a change", () => {
    const made = makeGroup(group(), bounds);
    const first = [read(place("memory"), files.memory), read(place("cpu"), files.cpu), read(place("pids"), "pids.max")];
    const held = readLimits(made);

    limitGroup(made, { cpus: 0.25, memoryMb: 512, processes: 7 });

    const formatWords = (quota: string) => (version === 2 ? `${quota} 100000` : quota);
    expect(first).toEqual([twoGb, formatWords("150000"), "100"]);
    expect(held).toEqual({ memory: "held", cpu: "held", pids: "held" });
    expect([
      read(place("memory"), files.memory),
      read(place("cpu"), files.cpu),
      read(place("pids"), "pids.max"),
    ]).toEqual([String(512 * 1024 * 1024), formatWords("25000"), "7"]);
  });

  it("allows no swap in place of memory", () => {
    groupAt(place("memory"), { "memory.swap.max": "max", "memory.memsw.limit_in_bytes": "9223372036854771712" });

    makeGroup(group(), bounds);

    const file = version === 2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes";
    expect(read(place("memory"), file)).toBe(version === 2 ? "0" : twoGb);
  });

  it("reports unlimited controllers as `all`", () => {
    const made = makeGroup(group(), { cpus: null, memoryMb: null, processes: 100 });

    expect(readLimits(made)).toEqual({ memory: "all", cpu: "all", pids: "held" });
  });

  it("skips a limit that cannot be written, and keeps the others", () => {
    mkdirSync(join(root, place("pids"), "pids.max"), { recursive: true });

    const made = makeGroup(group(), bounds);

    expect(Object.keys(made.places)).toEqual(["memory", "cpu"]);
    expect(readLimits(made)).toEqual({ memory: "held", cpu: "held" });
  });

  it("has no directories if it cannot be created, and ignores changes after its removal", () => {
    writeFileSync(join(root, "file"), "");
    const places = { memory: join(root, "file/run"), pids: join(root, "gone/run") };

    const made = makeGroup({ version, places: { memory: places.memory } }, bounds);
    limitGroup({ version, places }, bounds);

    expect([made.places, existsSync(places.pids)]).toEqual([{}, false]);
    expect(inGroup(made, ["true"])).toEqual(["true"]);
  });

  it("counts kills at its memory limit, and is removed once it is empty", () => {
    groupAt(place("memory"), { [files.kills]: "under_oom 0\noom 2\noom_kill 2" });
    const killed = countGroupOomKills(group());
    rmSync(join(root, place("memory"), files.kills));

    const removed = [removeGroup(group()), removeGroup(group())];

    expect([killed, countGroupOomKills(group()), ...removed]).toEqual([2, 0, true, true]);
    expect(existsSync(join(root, place("memory")))).toBe(false);
  });
});
