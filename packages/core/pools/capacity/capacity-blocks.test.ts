import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { MachineGroup } from "../../ports/machine-groups.ts";
import { utcText } from "../../text/utc.ts";
import { HOUR_MS, MINUTE_MS } from "../../units.ts";
import { drainPart } from "../admission/drain-part.ts";
import { readAdvice } from "../forecast/advice.ts";
import { estimateStart } from "../forecast/estimate.ts";
import { reasonText } from "../plan/reasons.ts";

const STARTUP_MS = 5 * MINUTE_MS;

const group: MachineGroup = {
  name: "p5-b",
  instanceTypes: ["p5.48xlarge"],
  zones: ["zone-b"],
  mostNodes: 2,
  isActive: true,
  admitsRuns: true,
};

/** Returns a world with these groups, and a block of four machines in zone a that starts in 72 h. */
async function worldWithBlock(others: readonly MachineGroup[], changes: Partial<MachineGroup> = {}) {
  const world = await memoryWorld({ nodes: [] });
  const startsAt = world.clock.now() + 72 * HOUR_MS;
  const block = { ...group, name: "block", zones: ["zone-a"], mostNodes: 4, startsAt, ...changes };
  world.machineGroups.set([...others, block]);
  await world.advance(2 * MINUTE_MS);
  return { world, startsAt };
}

function joins(world: MemoryWorld, name: string, zone = "zone-b", group = "p5-b"): void {
  const [node] = newNodes({ h100: 1 });
  if (node) world.compute.setNode({ ...node, name, uid: `uid-${name}`, providerId: `memory:///${name}`, zone, group });
}

async function getAdvice(world: MemoryWorld, owner: string) {
  const environment = await world.read(owner, "job");
  const advice = (await readAdvice(world.ctx, [environment])).get(environment.uid);
  return {
    startsAt: advice?.place?.startsAt,
    start: advice?.start,
    reason: advice?.place && reasonText(advice.place, "h100"),
  };
}

async function listPhases(world: MemoryWorld, owners: readonly string[]): Promise<string[]> {
  return Promise.all(owners.map(async (owner) => (await world.read(owner, "job")).phase));
}

function notStarted(at: number, zones = " in zone-a"): string {
  return `The Capacity Block of p5.48xlarge${zones} has not started; the next try is at ${utcText(at)} - position #1`;
}

test("forecasts and estimates count a Capacity Block from its start", async () => {
  const { world, startsAt } = await worldWithBlock([group]);
  for (const name of ["made-1", "made-2"]) joins(world, name);
  await world.advance(2 * MINUTE_MS);
  for (const owner of ["alice", "bob"]) await createEnvironment(world.as(owner), newEnvironment("job", { hours: 20 }));
  await world.advance(2 * MINUTE_MS);
  const ends = world.clock.now() + 19 * HOUR_MS;
  await createEnvironment(world.as("dora"), newEnvironment("job", { gpus: 24 }));
  await createEnvironment(world.as("carol"), newEnvironment("job", { gpus: 8 }));
  await world.advance(2 * MINUTE_MS);

  const [one, three] = [await getAdvice(world, "carol"), await getAdvice(world, "dora")];
  const { size } = newEnvironment("job", { gpus: 16 });
  const estimated = await estimateStart(world.as("erin"), { size, disk: undefined }, []);

  expect(one.start?.p50).toBeGreaterThan(ends);
  expect(one.start?.p50).toBeLessThan(startsAt);
  expect(three.startsAt).toBeGreaterThanOrEqual(startsAt);
  expect(three.start?.p50).toBeGreaterThanOrEqual(startsAt);
  expect(estimated.kind === "estimate" && estimated.answer.p50).toBeGreaterThan(ends);
});

test("the second Capacity Block of a zone is not granted at the start of the first one", async () => {
  const world = await memoryWorld({ nodes: [] });
  const startsAt = world.clock.now() + HOUR_MS;
  const first = { ...group, name: "first", mostNodes: 1, startsAt };
  const next = { ...first, name: "next", startsAt: startsAt + 24 * HOUR_MS };
  world.machineGroups.set([first, next]);
  await world.advance(2 * MINUTE_MS);
  for (const owner of ["alice", "bob"]) await createEnvironment(world.as(owner), newEnvironment("job"));
  await world.advance(startsAt - world.clock.now() + 10_000);

  expect((await listPhases(world, ["alice", "bob"])).sort()).toEqual(["preparing", "queued"]);
  const owner = (await world.read("alice", "job")).phase === "queued" ? "alice" : "bob";
  const { startsAt: start = 0 } = await getAdvice(world, owner);
  expect(start).toBeLessThan(next.startsAt);
});

test("a drained group in its zone does not hide the start of a Capacity Block", async () => {
  const { world, startsAt } = await worldWithBlock([{ ...group, name: "old", zones: ["zone-a"] }]);
  await drainPart(world.ctx, "h100", { nodeGroup: "old" }, { by: "ada", reason: null });
  await createEnvironment(world.as("alice"), newEnvironment("job", { gpus: 24 }));
  await world.advance(2 * MINUTE_MS);

  const { reason, startsAt: start } = await getAdvice(world, "alice");

  expect(reason).toBe(notStarted(startsAt));
  expect(start).toBe(startsAt + STARTUP_MS);
});

test("a drained Capacity Block that has not started is no free machine", async () => {
  const { world } = await worldWithBlock([{ ...group, mostNodes: 1 }], { mostNodes: 1 });
  joins(world, "made-1");
  await drainPart(world.ctx, "h100", { nodeGroup: "block" }, { by: "ada", reason: null });
  await world.advance(2 * MINUTE_MS);
  for (const owner of ["alice", "bob"]) await createEnvironment(world.as(owner), newEnvironment("job"));
  await world.advance(2 * MINUTE_MS);

  const phases = await listPhases(world, ["alice", "bob"]);
  const waiting = phases[0] === "queued" ? "alice" : "bob";
  expect(phases.toSorted()).toEqual(["active", "queued"]);
  expect((await getAdvice(world, waiting)).reason).toBe("Need 8 H100 GPUs, only 0 available - position #1");
});

test("a job waits for the start of a Capacity Block whose zones are unknown", async () => {
  const { world, startsAt } = await worldWithBlock([], { zones: [] });
  await createEnvironment(world.as("alice"), newEnvironment("job"));
  await world.advance(2 * MINUTE_MS);

  expect((await getAdvice(world, "alice")).reason).toBe(notStarted(startsAt, ""));
});

test("a Capacity Block counts from its start while other zones lack machines", async () => {
  const { world, startsAt } = await worldWithBlock([{ ...group, lacks: "machines" }]);
  await createEnvironment(world.as("alice"), newEnvironment("job", { gpus: 24 }));
  await createEnvironment(world.as("bob"), newEnvironment("job"));
  await world.advance(10_000);

  const [large, small] = [await getAdvice(world, "alice"), await getAdvice(world, "bob")];

  expect(large.reason?.replace("#2", "#1")).toBe(notStarted(startsAt));
  expect(small.reason).toMatch(/^AWS has no p5.48xlarge in zone-b now; the next try is at /);
  expect(small.startsAt).toBeLessThan(world.clock.now() + HOUR_MS);
});

test("a job that present machines will serve before a Capacity Block starts does not name the block", async () => {
  const { world, startsAt } = await worldWithBlock([{ ...group, mostNodes: 1 }]);
  joins(world, "made-1");
  await world.advance(2 * MINUTE_MS);
  await createEnvironment(world.as("alice"), newEnvironment("job", { hours: 1 }));
  await world.advance(2 * MINUTE_MS);
  await createEnvironment(world.as("bob"), newEnvironment("job"));
  await world.advance(2 * MINUTE_MS);

  const { reason, startsAt: start } = await getAdvice(world, "bob");

  expect(reason).toBe("Need 8 H100 GPUs, only 0 available - position #1");
  expect(start).toBeLessThan(startsAt);
});
