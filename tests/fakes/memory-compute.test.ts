import { describe, expect, it } from "vitest";
import type { ComputeNode, Run } from "#core/ports/compute.ts";
import { type Behaviour, computeConformance } from "../conformance/compute.ts";
import { nodeGroupsConformance } from "../conformance/node-groups.ts";
import { portsConformance } from "../conformance/ports.ts";
import { manualClock } from "../fixtures/clock.ts";
import { newNodes } from "../worlds/memory-world.ts";
import { memoryCompute } from "./memory-compute.ts";

const [first, second] = newNodes({ h100: 2 });
if (!first || !second) throw new Error("There are no nodes");
const entry: ComputeNode = { ...first, name: "one" };
const two: ComputeNode = { ...second, name: "two" };
const nodes = [entry, two];
const gently = { graceSeconds: 10, force: false };

describe.each([true, false])("memory compute as every Compute, leaves tombstones: %s", (leavesTombstones) => {
  computeConformance(async () => {
    const clock = manualClock();
    const compute = memoryCompute({ clock, nodes, leavesTombstones });
    const command = (uid: string, { prints, exits, ignoresTerm = false, lastWords }: Behaviour) => {
      const outcome =
        exits === undefined ? { kind: "lives" as const } : { kind: "exits" as const, code: exits, afterMs: 0 };
      const log = prints.map((line) => `${line}\n`).join("");
      compute.program(uid, outcome, { ignoresTerm, log, lastWords: lastWords ? `${lastWords}\n` : "" });
      return "acted out by the fake";
    };
    const pass = async (ms: number) => clock.advance(ms);
    return { compute, nodes, now: clock.now, pass, command, close: async () => undefined };
  });
});

describe("memory compute", () => {
  nodeGroupsConformance(async () => {
    const clock = manualClock();
    const grouped = [entry, { ...two, group: "p5-b" }];
    const compute = memoryCompute({ clock, nodes: grouped });
    const pass = async (ms: number) => clock.advance(ms);
    return { compute, nodes: grouped, now: clock.now, pass, close: async () => undefined, command: () => "acted out" };
  });

  portsConformance(async () => {
    const clock = manualClock();
    const compute = memoryCompute({ clock, nodes });
    const pass = async (ms: number) => clock.advance(ms);
    const silence = (uid: string, port: number) => compute.setSilent(uid, port, true);
    return { compute, nodes, now: clock.now, pass, silence, close: async () => undefined, command: () => "acted out" };
  });

  it("makes a run ready once its silent port answers, and limits its resources", async () => {
    const clock = manualClock();
    const compute = memoryCompute({ clock, nodes, probeMs: 10 });
    const uid = "d".repeat(32);
    compute.setSilent(uid, 8080, true);
    await compute.apply(getRun(uid, { ports: [{ port: 8080, kind: "http" }], resources: { cpus: 1, memoryMb: 512 } }));
    clock.advance(60_000);
    const before = await compute.observe(uid, 1);

    compute.setSilent(uid, 8080, false);
    await compute.resize(uid, 1, { cpus: 2, memoryMb: 1_024 }, 2);
    await compute.resize(uid, 1, { cpus: 1, memoryMb: 1_024 }, 1);
    const after = await compute.observe(uid, 1);

    expect([before?.state, after?.state]).toEqual(["probe", "ready"]);
    expect(compute.resources(uid, 1)).toEqual({ cpus: 2, memoryMb: 1_024 });
  });

  it("starts a partly bound run on its bound machines, and removes it as an unbound one", async () => {
    const clock = manualClock();
    const compute = memoryCompute({ clock, nodes, bindMs: 100, imageMs: 1_000, removeMs: 2_000 });
    const [uid, otherName] = ["e".repeat(32), "f".repeat(32)];
    const shares = ["one", "two"].map((node) => ({ node, units: 8 }));
    compute.loseNode("two");
    await compute.apply(getRun(uid, { shares }));
    clock.advance(500);
    const early = await compute.observe(uid, 1);
    clock.advance(1_500);
    const begun = await compute.observe(uid, 1);
    const units = ["one", "two"].map((node) => compute.liveUnits(node));

    await compute.remove(uid, 1, { ...gently, unlessBound: true });
    clock.advance(2_000);
    await compute.apply(getRun(otherName, { shares }));
    clock.advance(500);
    compute.returnNode("two");
    clock.advance(5_000);

    expect(early).toMatchObject({ state: "unbound", started: false, nodes: [{ name: "one" }] });
    expect(begun).toMatchObject({ state: "unbound", started: true, nodes: [{ name: "one" }] });
    expect(units).toEqual([8, 0]);
    expect(await compute.observe(uid, 1)).toBeUndefined();
    expect(await compute.observe(otherName, 1)).toMatchObject({
      state: "ready",
      nodes: [{ name: "one" }, { name: "two" }],
    });
    expect([compute.starts(uid, 1), compute.starts(otherName, 1)]).toEqual([0, 1]);
  });

  it("removes an unbound run, and no longer binds it", async () => {
    const clock = manualClock();
    const compute = memoryCompute({ clock, nodes, bindMs: 1_000, removeMs: 2_000 });
    const uid = "e".repeat(32);
    await compute.apply(getRun(uid));

    await compute.remove(uid, 1, { ...gently, unlessBound: true });
    clock.advance(1_500);
    await compute.remove(uid, 1, { ...gently, unlessBound: true });
    clock.advance(1_500);

    expect(await compute.observe(uid, 1)).toBeUndefined();
    expect(compute.history().map(({ kind }) => kind)).toEqual(["applied", "gone"]);
  });

  const getRun = (uid: string, changes: Partial<Run> = {}): Run => ({
    uid,
    run: 1,
    key: "k",
    name: "n",
    pool: "h100",
    instanceType: "p5.48xlarge",
    image: "i",
    command: "c",
    env: {},
    shares: [{ node: "one", units: 4 }],
    gpusPerMachine: 4,
    mounts: [],
    ports: [],
    resources: null,
    until: Number.MAX_SAFE_INTEGER,
    ...changes,
  });

  it("passes through every step in the configured time", async () => {
    const clock = manualClock();
    const delays = { bindMs: 10, imageMs: 20, containerMs: 30, probeMs: 40 };
    const compute = memoryCompute({ clock, nodes, ...delays });
    const seen: unknown[] = [];

    await compute.apply(getRun("a"));
    for (const ms of [0, 10, 20, 30, 40]) {
      clock.advance(ms);
      const observation = await compute.observe("a", 1);
      seen.push([observation?.state, observation?.started]);
    }

    expect(seen).toEqual([
      ["unbound", false],
      ["image", false],
      ["container", false],
      ["probe", true],
      ["ready", true],
    ]);
  });

  it("reports an image that cannot be pulled as an end without a start", async () => {
    const compute = memoryCompute({ clock: manualClock(), nodes });
    compute.program("a", { kind: "imageFails", reason: "Image not found" });

    await compute.apply(getRun("a"));

    expect(await compute.observe("a", 1)).toMatchObject({ state: "ended", started: false, reason: "Image not found" });
    expect(compute.starts("a", 1)).toBe(0);
  });

  it("leaves a run unbound until its node exists", async () => {
    const compute = memoryCompute({ clock: manualClock(), nodes });
    await compute.apply(getRun("a", { shares: [{ node: "three", units: 8 }] }));
    const before = await compute.observe("a", 1);

    compute.setNode({ ...entry, name: "three", uid: "third" });

    expect(before).toMatchObject({ state: "unbound", nodes: [] });
    expect(await compute.observe("a", 1)).toMatchObject({ state: "ready", nodes: [{ name: "three", uid: "third" }] });
  });

  it("finds a free node for a share that names none", async () => {
    const compute = memoryCompute({ clock: manualClock(), nodes });
    await compute.apply(getRun("a"));

    await compute.apply(getRun("b", { shares: [{ node: null, units: 8 }] }));
    await compute.apply(getRun("c", { shares: [{ node: null, units: 8 }] }));

    expect(await compute.observe("b", 1)).toMatchObject({ nodes: [{ name: "two" }] });
    expect(await compute.observe("c", 1)).toMatchObject({ state: "unbound" });
  });

  it("reports a slot that is held twice, and counts units until the run is gone", async () => {
    const clock = manualClock();
    const compute = memoryCompute({ clock, nodes, removeMs: 50 });
    await compute.apply(getRun("a", { shares: [{ node: "one", units: 8 }] }));

    await compute.remove("a", 1, gently);
    await compute.apply(getRun("b", { shares: [{ node: "one", units: 1 }] }));
    const meanwhile = compute.liveUnits("one");
    clock.advance(50);

    expect(meanwhile).toBe(9);
    expect(compute.liveUnits("one")).toBe(1);
    expect(compute.peakUnits("one")).toBe(9);
  });

  it("frees units at a moment before it takes others at the same moment", async () => {
    const clock = manualClock();
    const compute = memoryCompute({ clock, nodes, bindMs: 100 });
    compute.program("a", { kind: "exits", code: 0, afterMs: 100 });
    await compute.apply(getRun("a", { shares: [{ node: "one", units: 8 }] }));
    clock.advance(100);
    await compute.apply(getRun("b", { shares: [{ node: "one", units: 8 }] }));

    clock.advance(1_000);

    expect(compute.peakUnits("one")).toBe(8);
  });

  it("counts starts, so a command that ran twice is noticed", async () => {
    const compute = memoryCompute({ clock: manualClock(), nodes });
    await compute.apply(getRun("a"));
    await compute.apply(getRun("a"));
    const once = compute.starts("a", 1);

    await compute.remove("a", 1, gently);
    await compute.apply(getRun("a"));

    expect([once, compute.starts("a", 1)]).toEqual([1, 2]);
  });

  it("never starts a run that is being removed", async () => {
    const clock = manualClock();
    const compute = memoryCompute({ clock, nodes, imageMs: 10, removeMs: 100 });
    await compute.apply(getRun("a"));

    await compute.remove("a", 1, gently);
    clock.advance(50);

    expect(await compute.observe("a", 1)).toMatchObject({ state: "image", terminating: true });
    clock.advance(50);
    expect(await compute.observe("a", 1)).toBeUndefined();
    expect(compute.starts("a", 1)).toBe(0);
  });

  it("removes a run on a silent node only by force, and it continues there", async () => {
    const compute = memoryCompute({ clock: manualClock(), nodes });
    await compute.apply(getRun("a"));
    compute.loseNode("one");

    await compute.remove("a", 1, gently);
    const observation = await compute.observe("a", 1);
    await compute.remove("a", 1, { graceSeconds: 0, force: true });
    const live = [compute.isLive("a", 1), compute.liveUnits("one")];
    compute.setMachine(entry.uid, "gone");

    expect(observation).toMatchObject({
      state: "ready",
      terminating: true,
      nodes: [{ uid: entry.uid, silent: "notReady" }],
    });
    expect(await compute.observe("a", 1)).toBeUndefined();
    expect((await compute.listNodes())[0]?.ready).toBe(false);
    expect([live, compute.isLive("a", 1), compute.liveUnits("one")]).toEqual([[true, 4], false, 0]);
  });

  it("continues a run, or its removal, once its node is back with the same uid", async () => {
    const clock = manualClock();
    const compute = memoryCompute({ clock, nodes });
    compute.program("a", { kind: "exits", code: 0, afterMs: 1_000 });
    await compute.apply(getRun("a"));
    await compute.apply(getRun("b"));
    compute.removeNode("one");
    await compute.remove("b", 1, gently);
    clock.advance(60_000);
    const meanwhile = [await compute.observe("a", 1), await compute.observe("b", 1)];

    compute.returnNode("one");
    clock.advance(1_000);

    expect(meanwhile).toMatchObject([{ state: "ready", nodes: [{ silent: "missing" }] }, { terminating: true }]);
    expect(await compute.observe("a", 1)).toMatchObject({ state: "ended", exitCode: 0, nodes: [{ silent: null }] });
    expect(await compute.observe("b", 1)).toBeUndefined();
  });

  it("treats a node of the same name with another uid as another machine", async () => {
    const compute = memoryCompute({ clock: manualClock(), nodes });
    await compute.apply(getRun("a"));

    compute.setNode({ ...entry, uid: "other" });

    expect(await compute.observe("a", 1)).toMatchObject({
      nodes: [{ name: "one", uid: entry.uid, silent: "missing" }],
    });
    expect(compute.liveUnits("one")).toBe(0);
  });

  it("keeps the volume of a forcibly removed run attached until it is detached or its node is back", async () => {
    const compute = memoryCompute({ clock: manualClock(), nodes });
    const mounts = ["v1", "v2"].map((id) => ({ volume: { id, zone: "a" }, path: `/${id}` }));
    await compute.apply(getRun("a", { mounts }));
    compute.loseNode("one");
    await compute.remove("a", 1, { graceSeconds: 0, force: true });
    await compute.apply(getRun("b", { mounts, shares: [{ node: "two", units: 4 }] }));
    const before = ["v1", "v2"].map((id) => compute.mounting(id));

    compute.detach("v1", two);
    const elsewhere = compute.mounting("v1");
    compute.detach("v1", entry);
    const between = compute.mounting("v1");
    compute.returnNode("one");

    expect(before).toEqual([[{ uid: "a", run: 1 }], [{ uid: "a", run: 1 }]]);
    expect(elsewhere).toEqual([{ uid: "a", run: 1 }]);
    expect(between).toEqual([]);
    expect(await compute.observe("b", 1)).toMatchObject({ state: "ready" });
  });

  it("reports the provider's state of a machine, and none without a provider", async () => {
    const compute = memoryCompute({ clock: manualClock(), nodes });
    const before = await compute.getMachineState(entry);

    compute.setMachine(entry.uid, "gone");

    const alone = { ...entry, providerId: null };
    const others = [entry, { ...entry, uid: "never-seen" }, alone].map((node) => compute.getMachineState(node));
    expect([before, ...(await Promise.all(others))]).toEqual(["running", "gone", "gone", "unknown"]);
  });

  it("names the signal of a command that was killed", async () => {
    const compute = memoryCompute({ clock: manualClock(), nodes });
    await compute.apply(getRun("a"));

    compute.kill("a", 1);

    const reason = "command was killed by signal SIGKILL";
    expect(await compute.observe("a", 1)).toMatchObject({ state: "ended", exitCode: null, reason });
    expect(compute.history().map(({ kind }) => kind)).toEqual(["applied", "bound", "started", "ended"]);
  });
});
