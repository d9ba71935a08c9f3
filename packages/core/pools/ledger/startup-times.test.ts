import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import type { Environment } from "../../environments/record/record.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { NodeGroup } from "../../settings.ts";
import { keyText } from "../../store/keys.ts";
import { MINUTE_MS } from "../../units.ts";
import { getGrowth } from "../capacity/groups.ts";
import { estimateStart } from "../forecast/estimate.ts";
import { makeable } from "../plan/summary.ts";
import { readMakeable } from "./ledger.ts";
import { findPool, type Holding, type MakeableLedger, type NodeLedger, type Pool } from "./record.ts";
import { getLearnedStartupMs, noteStartups } from "./startup-times.ts";

const SECOND_MS = 1_000;
const group: NodeGroup = { pool: "h100", mostNodes: 9, startupMs: 5 * MINUTE_MS, zones: [] };
const growing = () => memoryWorld({ nodes: [], settings: { nodeGroups: [group] } });

/** Adds a machine, and lets the next listing find it. */
async function join(world: MemoryWorld, name: string): Promise<void> {
  const [node] = newNodes({ h100: 1 });
  if (node) world.compute.setNode({ ...node, name, uid: `uid-${name}`, providerId: `memory:///${name}` });
  await world.advance(MINUTE_MS);
}

/** Starts a job whose machine joins after so many minutes. */
async function startOnNew(world: MemoryWorld, name: string, minutes: number): Promise<void> {
  await createEnvironment(world.as(name), newEnvironment(name, { hours: 24 }));
  await world.advance(minutes * MINUTE_MS);
  await join(world, name);
  expect((await world.read(name, name)).phase).toBe("active");
}

const startupsOf = async ({ ctx }: MemoryWorld) => (await readMakeable(ctx, "h100")).startupSeconds ?? [];

/** Returns how long the next job would wait for its machine, in minutes. */
async function estimate(world: MemoryWorld): Promise<number> {
  const { size } = await world.read("a", "a");
  const found = await estimateStart(world.as("z"), { size, disk: undefined }, []);
  const p50 = found.kind === "estimate" ? found.answer.p50 : null;
  return Math.round(((p50 ?? Number.NaN) - world.clock.now()) / MINUTE_MS);
}

test("after three machines, estimates count the time that machines of the type take", async () => {
  const world = await growing();
  await startOnNew(world, "a", 1);
  await startOnNew(world, "b", 1);
  const before = await estimate(world);
  await startOnNew(world, "c", 1);

  const startupSeconds = await startupsOf(world);
  expect(startupSeconds).toHaveLength(3);
  for (const seconds of startupSeconds) expect(Math.abs(seconds - 60)).toBeLessThanOrEqual(5);
  expect([before, await estimate(world)]).toEqual([5, 1]);
});

test("a machine that is granted to several jobs while it starts counts once, from the first grant", async () => {
  const world = await growing();
  const half = { gpus: 4, hours: 24 };
  await createEnvironment(world.as("a"), newEnvironment("a", half));
  await world.advance(2 * MINUTE_MS);
  await createEnvironment(world.as("b"), newEnvironment("b", half));
  await world.advance(MINUTE_MS);
  await join(world, "shared");

  const startupSeconds = await startupsOf(world);
  expect(startupSeconds).toHaveLength(1);
  expect(Math.abs((startupSeconds[0] ?? 0) - 180)).toBeLessThanOrEqual(5);
});

test("the machines of one job count once, when all of them had come", async () => {
  const world = await growing();
  await createEnvironment(world.as("a"), newEnvironment("a", { gpus: 16, hours: 24 }));
  await world.advance(MINUTE_MS);
  await join(world, "one");
  await world.advance(MINUTE_MS);
  await join(world, "two");

  const startups = await startupsOf(world);
  expect((await world.read("a", "a")).phase).toBe("active");
  expect(startups).toHaveLength(1);
  expect(Math.abs((startups[0] ?? 0) - 180)).toBeLessThanOrEqual(5);
});

test("a job that starts on a machine that was there teaches nothing", async () => {
  const world = await growing();
  await startOnNew(world, "a", 1);
  await createEnvironment(world.as("b"), newEnvironment("b", { hours: 24 }));
  await world.advance(MINUTE_MS);
  const waits = (await world.read("b", "b")).phase;
  const before = await startupsOf(world);

  await createEnvironment(world.as("c"), newEnvironment("c", { gpus: 1, hours: 24 }));
  await world.advance(MINUTE_MS);

  expect([waits, await startupsOf(world)]).toEqual(["preparing", before]);
});

test.each<[string, number[], number | undefined]>([
  ["two machines", [60, 60], undefined],
  ["three machines", [60, 90, 120], 120],
  ["four machines of which one was slow", [60, 70, 80, 600], 80],
  ["eight machines of which two were slow", [60, 60, 60, 60, 60, 70, 500, 600], 70],
])("the learned time of %s is an upper quartile", (_, startupSeconds, seconds) => {
  expect(getLearnedStartupMs(startupSeconds)).toBe(seconds === undefined ? undefined : seconds * SECOND_MS);
});

test("only a learned time that is longer than the setting makes a grant wait longer", () => {
  const settings = { settings: { nodeGroups: [group] } };
  const of = (seconds: number) => getGrowth(settings, { type: "h100", startupSeconds: [seconds, seconds, seconds] });

  expect(of(60)).toMatchObject({ startupMs: MINUTE_MS, longestStartupMs: 5 * MINUTE_MS });
  expect(of(420)).toMatchObject({ startupMs: 7 * MINUTE_MS, longestStartupMs: 7 * MINUTE_MS });
  expect(of(1200)).toMatchObject({ startupMs: 20 * MINUTE_MS, longestStartupMs: 10 * MINUTE_MS });
});

const machine = (name: string, ofGroup?: string) =>
  ({ pk: "pool#h100#0", sk: `${name}|uid`, since: 2_000, group: ofGroup }) as NodeLedger;

/** Returns the item after a job has moved to these new machines, 60 s after its grant. */
function afterMoveTo(nodes: readonly NodeLedger[], makeable: Partial<MakeableLedger> = {}): MakeableLedger {
  const holding = { key: "job", run: 1, at: 1_000, items: nodes.map((node) => keyText(node)) } as unknown as Holding;
  const record = { run: { n: 1, machineAt: 61_000 } } as Environment;
  return noteStartups(makeable as MakeableLedger, { nodes, held: [] }, [holding], new Map([["job", record]]));
}

test("a start counts for the type, and for the node group of all its machines", () => {
  const ofOne = afterMoveTo([machine("n1", "g1"), machine("n2", "g1")], {
    groupStartupSeconds: { g1: [70], g2: [80] },
  });
  const ofSeveral = afterMoveTo([machine("n1", "g1"), machine("n2", "g2")]);
  const ofNone = afterMoveTo([machine("n1")]);

  expect(ofOne).toEqual({ startupSeconds: [60], groupStartupSeconds: { g2: [80], g1: [70, 60] } });
  expect([ofSeveral, ofNone]).toEqual([{ startupSeconds: [60] }, { startupSeconds: [60] }]);
});

test("the item keeps the eight last starts of the thirty groups that changed last", () => {
  const names = Array.from({ length: 30 }, (_, index) => `g${index}`);
  const groupStartupSeconds = Object.fromEntries(names.map((name) => [name, [1, 2, 3, 4, 5, 6, 7, 8]]));

  const { groupStartupSeconds: after = {} } = afterMoveTo([machine("n1", "new")], { groupStartupSeconds });
  const again = afterMoveTo([machine("n1", "g0")], { groupStartupSeconds });

  expect(Object.keys(after)).toEqual([...names.slice(1), "new"]);
  expect(again.groupStartupSeconds?.g0).toEqual([2, 3, 4, 5, 6, 7, 8, 60]);
});

test("a machine of a group with learned times is expected in its own time, and one of another in the type's", async () => {
  const world = await memoryWorld({ nodes: [] });
  const common = { instanceTypes: ["p5.48xlarge"], mostNodes: 9, isActive: true, admitsRuns: true };
  world.machineGroups.set([
    { ...common, name: "fast", zones: ["zone-a"] },
    { ...common, name: "slow", zones: ["zone-b"] },
  ]);
  await world.advance(2 * MINUTE_MS);
  const item = await readMakeable(world.ctx, "h100");
  const pool = (await findPool(world.ctx, "h100")) as Pool;
  const learned = {
    ...item,
    startupSeconds: [600, 600, 600],
    groupStartupSeconds: { fast: [60, 60, 60], slow: [900] },
  };

  const { startupMs, groups } = makeable(world.ctx, { pool, nodes: [], makeable: learned, unreadable: new Set() });

  expect(startupMs).toBe(10 * MINUTE_MS);
  expect(groups.map(({ group: name, startupMs: own }) => [name, own])).toEqual([
    ["fast", MINUTE_MS],
    ["slow", undefined],
  ]);
});

test("a start that a clock behind the planner's dates before its grant counts as 0 s, and one of another run not", () => {
  const node = { pk: "pool#h100#0", sk: "node|uid", since: 2_000 } as NodeLedger;
  const holding = { key: "job", run: 1, at: 1_500, items: [keyText(node)] } as unknown as Holding;
  const learned = (n: number) =>
    noteStartups(
      {} as MakeableLedger,
      { nodes: [node], held: [] },
      [holding],
      new Map([["job", { run: { n, machineAt: 900 } } as Environment]]),
    ).startupSeconds;

  expect(learned(1)).toEqual([0]);
  expect(learned(2)).toBeUndefined();
});
