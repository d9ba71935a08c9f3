import { expect, test } from "vitest";
import { recordingLog, silentLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { MachineGroup } from "../../ports/machine-groups.ts";
import type { Item } from "../../ports/table.ts";
import { machineGroupsKey } from "../../store/keys.ts";
import { utcText } from "../../text/utc.ts";
import { HOUR_MS, MINUTE_MS } from "../../units.ts";
import { readCapacity } from "../admission/availability.ts";
import { drainPart, undrainPart } from "../admission/drain-part.ts";
import { readAdvice } from "../forecast/advice.ts";
import { readMakeable } from "../ledger/ledger.ts";
import { reasonText } from "../plan/reasons.ts";

const group: MachineGroup = {
  name: "p5-a",
  instanceTypes: ["p5.48xlarge"],
  zones: ["zone-a"],
  mostNodes: 2,
  isActive: true,
  admitsRuns: true,
};

async function worldWith(groups: readonly MachineGroup[], settings = {}, log = silentLog()): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: [], settings, log });
  world.machineGroups.set(groups);
  await world.advance(2 * MINUTE_MS);
  return world;
}

function joins(world: MemoryWorld, name: string, group: string): void {
  const [node] = newNodes({ h100: 1 });
  if (node) world.compute.setNode({ ...node, name, uid: `uid-${name}`, providerId: `memory:///${name}`, group });
}

async function getMakeable(world: MemoryWorld): Promise<number | undefined> {
  return (await readCapacity(world.ctx)).pools.find(({ pool }) => pool === "h100")?.makeable;
}

async function getReason(world: MemoryWorld, owner: string, id: string): Promise<string | undefined> {
  const environment = await world.read(owner, id);
  const place = (await readAdvice(world.ctx, [environment])).get(environment.uid)?.place;
  return place && reasonText(place, "h100");
}

test("counts what a node group may create, and starts a job on a machine that it creates", async () => {
  const world = await worldWith([group]);
  const before = await readCapacity(world.ctx);

  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(MINUTE_MS);
  joins(world, "made-1", "p5-a");
  await world.advance(2 * MINUTE_MS);

  expect(before.pools).toMatchObject([{ pool: "h100", hasMachines: true, total: 16, available: 16, makeable: 2 }]);
  expect((await world.read("alice", "one")).phase).toBe("active");
  expect(await getMakeable(world)).toBe(1);
});

test("a machine of no group leaves a group as much to create as before", async () => {
  const world = await worldWith([group]);

  const [node] = newNodes({ h100: 1 });
  if (node) world.compute.setNode(node);
  await world.advance(2 * MINUTE_MS);

  expect((await readCapacity(world.ctx)).pools).toMatchObject([{ total: 24, available: 24, makeable: 2 }]);
});

test("gives a run on a new machine of a node group twice its start-up time to be bound", async () => {
  const world = await worldWith([group]);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(9 * MINUTE_MS);
  const patient = await world.read("alice", "one");
  await world.advance(2 * MINUTE_MS);

  expect([patient.phase, (await world.read("alice", "one")).phase]).toEqual(["preparing", "queued"]);
});

test.each<[string, Partial<MachineGroup>]>([
  ["that may have no machine", { mostNodes: 0 }],
  ["that is being deleted", { isActive: false }],
  ["whose taints keep runs out", { admitsRuns: false }],
  ["of several machine types", { instanceTypes: ["p5.48xlarge", "p4d.24xlarge"] }],
  ["whose machine type is in a launch template", { instanceTypes: [] }],
  ["of an unknown machine type", { instanceTypes: ["x9.metal"] }],
])("counts nothing for a group %s", async (_, changes) => {
  const world = await worldWith([{ ...group, ...changes }]);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(MINUTE_MS);

  expect(await getMakeable(world)).toBe(0);
  expect((await world.read("alice", "one")).phase).toBe("queued");
});

test("NODE_GROUPS overrides the group of its pool, and no other", async () => {
  const nodeGroups = [{ pool: "h100", mostNodes: 5, startupMs: MINUTE_MS, zones: [] }];
  const world = await worldWith([group, { ...group, name: "p4", instanceTypes: ["p4d.24xlarge"] }], { nodeGroups });

  const { pools } = await readCapacity(world.ctx);

  expect(pools.map(({ pool, makeable }) => [pool, makeable])).toEqual([
    ["a100", 2],
    ["h100", 5],
  ]);
});

test("a group that disappears is no longer granted, and its machines stay", async () => {
  const world = await worldWith([group]);
  joins(world, "made-1", "p5-a");
  await world.advance(2 * MINUTE_MS);
  world.machineGroups.set([]);
  await world.advance(7 * MINUTE_MS);

  expect((await readCapacity(world.ctx)).pools).toMatchObject([{ total: 8, available: 8, makeable: 0 }]);
});

test.each([
  ["throttles", "ThrottlingException"],
  ["denies", "AccessDeniedException"],
])("keeps the last answer while the provider %s it for an hour, and logs its age", async (_, name) => {
  const log = recordingLog();
  const world = await worldWith([group], {}, log);
  world.machineGroups.set(Object.assign(new Error("refused"), { name }));
  for (let minute = 0; minute < 60; minute++) await world.advance(MINUTE_MS);
  const calls = world.machineGroups.calls;

  const { readAt, triedAt } = (await world.table.get(machineGroupsKey)) as Item & { readAt: number; triedAt: number };
  expect(await getMakeable(world)).toBe(2);
  expect(triedAt - readAt).toBeGreaterThan(50 * MINUTE_MS);
  expect(calls).toBeLessThan(16);
  const warning = log.lines.findLast(({ event }) => event === "machine groups not read");
  expect(warning).toMatchObject({ level: "warn", fields: { error: name } });
  expect(warning?.fields.ageSeconds).toBeGreaterThan(3000);

  world.machineGroups.set([{ ...group, mostNodes: 4 }]);
  await world.advance(6 * MINUTE_MS);
  expect(await getMakeable(world)).toBe(4);
});

test("asks at once again after a machine did not come", async () => {
  const world = await worldWith([group]);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(9 * MINUTE_MS);
  const begun = world.machineGroups.calls;
  world.machineGroups.set([{ ...group, mostNodes: 7 }]);
  await world.advance(3 * MINUTE_MS);

  expect((await readMakeable(world.ctx, "h100")).shortage?.count).toBe(1);
  expect(world.machineGroups.calls).toBeGreaterThan(begun);
  expect(await getMakeable(world)).toBe(7);
});

test.each<[MachineGroup["lacks"], string]>([
  ["machines", "AWS has no p5.48xlarge in zone-a now"],
  ["quota", "The AWS account's quota for p5.48xlarge is used up"],
  ["addresses", "The subnets of p5.48xlarge in zone-a have no free addresses"],
  ["other", "AWS cannot create a p5.48xlarge in zone-a now"],
])("a job waits at once for a group that lacks %s, and says why and when it is tried again", async (lacks, words) => {
  const world = await worldWith([{ ...group, lacks }]);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(10_000);

  const { until = 0 } = (await readMakeable(world.ctx, "h100")).shortage ?? {};
  expect((await world.read("alice", "one")).phase).toBe("queued");
  expect(await getReason(world, "alice", "one")).toMatch(
    new RegExp(`^${words}; the next try is at \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC - position #1$`),
  );
  expect(await getMakeable(world)).toBe(2);

  await world.advance(until - world.clock.now() + 10_000);
  expect((await world.read("alice", "one")).phase).toBe("preparing");
});

test("uses another group of the type while one lacks machines", async () => {
  const world = await worldWith([
    { ...group, lacks: "machines" },
    { ...group, name: "p5-b", zones: ["zone-b"], mostNodes: 3 },
  ]);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(10_000);

  expect(await getMakeable(world)).toBe(3);
  expect((await world.read("alice", "one")).phase).toBe("preparing");
});

test("names only the zone that lacks machines, to jobs that must be there, and grants others", async () => {
  const healthy = { ...group, name: "p5-b", zones: ["zone-b"], mostNodes: 3 };
  const world = await worldWith([group]);
  await createEnvironment(world.as("alice"), newEnvironment("first", { disk: "data" }));
  await world.advance(MINUTE_MS);
  joins(world, "made-1", "p5-a");
  await world.advance(2 * MINUTE_MS);
  await requestCancel(world.as("alice"), "first");
  await world.advance(5 * MINUTE_MS);
  world.compute.removeNode("made-1");
  world.machineGroups.set([{ ...group, lacks: "machines" }, healthy]);
  await world.advance(6 * MINUTE_MS);

  await createEnvironment(world.as("alice"), newEnvironment("pinned", { disk: "data" }));
  await createEnvironment(world.as("carol"), newEnvironment("free"));
  await world.advance(MINUTE_MS);
  const [pinned, free] = [await world.read("alice", "pinned"), await world.read("carol", "free")];

  expect([pinned.phase, pinned.zone, free.phase]).toEqual(["queued", "zone-a", "preparing"]);
  expect(await getReason(world, "alice", "pinned")).toMatch(
    /^AWS has no p5.48xlarge in zone-a now; the next try is at .* UTC - position #1$/,
  );
  world.machineGroups.set([group, healthy]);
  await world.advance(6 * MINUTE_MS);
  expect((await readMakeable(world.ctx, "h100")).zoneShortages).toBeUndefined();
  expect((await world.read("alice", "pinned")).phase).toBe("preparing");
});

test("counts no machine of a group that lacks machines as available, also after the pause", async () => {
  const healthy = { ...group, name: "p5-b", zones: ["zone-b"], mostNodes: 1 };
  const world = await worldWith([{ ...group, lacks: "machines" }, healthy]);
  const readPool = async () => (await readCapacity(world.ctx)).pools[0];
  const during = await readPool();
  const { until = 0 } = (await readMakeable(world.ctx, "h100")).zoneShortages?.["zone-a"] ?? {};
  await world.advance(until - world.clock.now() + 2 * MINUTE_MS);
  const after = await readPool();
  await createEnvironment(world.as("alice"), newEnvironment("healthy"));
  await createEnvironment(world.as("bob"), newEnvironment("tried"));
  await world.advance(MINUTE_MS);
  const phases = await Promise.all([world.read("alice", "healthy"), world.read("bob", "tried")]);
  world.machineGroups.set([group, healthy]);
  await world.advance(6 * MINUTE_MS);

  expect(during).toMatchObject({ total: 8, available: 8, largestFree: 8, makeable: 1 });
  expect(after).toMatchObject({ total: 8, available: 8, largestFree: 8, makeable: 1 });
  expect(phases.map(({ phase }) => phase)).toEqual(["preparing", "preparing"]);
  expect(await readPool()).toMatchObject({ total: 24, available: 8, makeable: 3 });
});

test("shows a type at zero until a new machine has come, although the pause is over", async () => {
  const world = await worldWith([group]);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(11 * MINUTE_MS);
  await requestCancel(world.as("alice"), "one");
  const { until = 0 } = (await readMakeable(world.ctx, "h100")).shortage ?? {};
  await world.advance(until - world.clock.now() + 2 * MINUTE_MS);
  const empty = (await readCapacity(world.ctx)).pools;
  joins(world, "made-1", "p5-a");
  await world.advance(2 * MINUTE_MS);

  expect(empty).toMatchObject([{ total: 16, available: 0, largestFree: 0, makeable: 2 }]);
  expect((await readCapacity(world.ctx)).pools).toMatchObject([{ total: 16, available: 16, makeable: 1 }]);
});

test("a group that lacks machines in one of its zones pauses only jobs that must be there", async () => {
  const wide = { ...group, zones: ["zone-a", "zone-b"], mostNodes: 3 };
  const world = await worldWith([group]);
  await createEnvironment(world.as("alice"), newEnvironment("first", { disk: "data" }));
  await world.advance(MINUTE_MS);
  joins(world, "made-1", "p5-a");
  await world.advance(2 * MINUTE_MS);
  await requestCancel(world.as("alice"), "first");
  await world.advance(5 * MINUTE_MS);
  world.compute.removeNode("made-1");
  world.machineGroups.set([{ ...wide, lacks: "machines", lacksIn: ["zone-a"] }]);
  await world.advance(6 * MINUTE_MS);

  await createEnvironment(world.as("alice"), newEnvironment("pinned", { disk: "data" }));
  await createEnvironment(world.as("carol"), newEnvironment("free", { disk: "data" }));
  await world.advance(10_000);

  expect((await readCapacity(world.ctx)).pools).toMatchObject([{ total: 24, available: 16, makeable: 3 }]);
  expect((await world.read("carol", "free")).run.grant?.shares).toEqual([{ node: null, units: 8, zone: "zone-b" }]);
  expect((await world.read("alice", "pinned")).phase).toBe("queued");
  expect(await getReason(world, "alice", "pinned")).toMatch(
    /^AWS has no p5.48xlarge in zone-a now; the next try is at /,
  );
});

test("the pause of a zone stays while the other groups get full", async () => {
  const healthy = { ...group, name: "p5-b", zones: ["zone-b"], mostNodes: 1 };
  const world = await worldWith([{ ...group, lacks: "machines" }, healthy]);
  const [node] = newNodes({ h100: 1 });
  if (node) world.compute.setNode({ ...node, name: "made-1", uid: "uid-1", zone: "zone-b", group: "p5-b" });
  const before = (await readMakeable(world.ctx, "h100")).zoneShortages;
  await world.advance(MINUTE_MS);
  for (const owner of ["alice", "bob"]) await createEnvironment(world.as(owner), newEnvironment("job"));
  await world.advance(10_000);

  const phases = await Promise.all(["alice", "bob"].map(async (owner) => (await world.read(owner, "job")).phase));
  expect(before).toMatchObject({ "zone-a": { count: 1 } });
  expect((await readMakeable(world.ctx, "h100")).zoneShortages).toEqual(before);
  expect(phases).toEqual(["active", "queued"]);
});

test("a zone where another group has machines is not paused by a group that lacks some there", async () => {
  const wide = { ...group, name: "p5-wide", zones: ["zone-a", "zone-b"], lacks: "machines" as const };
  const world = await worldWith([group, { ...wide, lacksIn: ["zone-a"] }]);

  expect((await readMakeable(world.ctx, "h100")).zoneShortages).toBeUndefined();
  expect(await getMakeable(world)).toBe(4);
});

const startsIn = (world: MemoryWorld) => {
  return {
    ...group,
    name: "p5-block",
    startsAt: world.clock.now() + HOUR_MS,
    endsAt: world.clock.now() + 25 * HOUR_MS,
  };
};

test("a job waits for the start of a Capacity Block, and says when that is", async () => {
  const world = await worldWith([]);
  const block = startsIn(world);
  world.machineGroups.set([block]);
  await world.advance(6 * MINUTE_MS);
  const before = (await readCapacity(world.ctx)).pools;
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(MINUTE_MS);
  const reason = await getReason(world, "alice", "one");
  const start = (await readAdvice(world.ctx, [await world.read("alice", "one")])).values().next().value
    ?.place?.startsAt;
  await world.advance(block.startsAt - world.clock.now() - MINUTE_MS);
  const { phase } = await world.read("alice", "one");
  await world.advance(3 * MINUTE_MS);

  expect(before).toMatchObject([{ pool: "h100", hasMachines: true, total: 0, available: 0, makeable: 0 }]);
  expect(reason).toBe(
    `The Capacity Block of p5.48xlarge in zone-a has not started; the next try is at ${utcText(block.startsAt)} - position #1`,
  );
  expect(start).toBeGreaterThanOrEqual(block.startsAt);
  expect([phase, (await world.read("alice", "one")).phase]).toEqual(["queued", "preparing"]);
  expect(await getMakeable(world)).toBe(2);
});

test("jobs start on another group before the start of a Capacity Block, also after a machine came in its zone", async () => {
  const world = await worldWith([]);
  world.machineGroups.set([startsIn(world), { ...group, name: "p5-b", zones: ["zone-b"], mostNodes: 1 }]);
  await world.advance(6 * MINUTE_MS);
  const before = await getMakeable(world);
  joins(world, "other", "p5-other");
  await world.advance(2 * MINUTE_MS);
  for (const id of ["one", "two", "three"]) await createEnvironment(world.as(id), newEnvironment("job"));
  await world.advance(MINUTE_MS);

  const phases = await Promise.all(["one", "two", "three"].map(async (id) => (await world.read(id, "job")).phase));
  expect(before).toBe(1);
  expect(phases.sort()).toEqual(["active", "preparing", "queued"]);
});

test("tries a group that lacks machines while the others are full, and names no zone of those", async () => {
  const lacking = { ...group, name: "p5-b", zones: ["zone-b"], lacks: "machines" as const };
  const world = await worldWith([{ ...group, mostNodes: 1 }, lacking]);
  joins(world, "made-1", "p5-a");
  await world.advance(10 * MINUTE_MS);

  expect(await getMakeable(world)).toBe(2);
  expect((await readMakeable(world.ctx, "h100")).group).toMatchObject({ zones: ["zone-b"], lacks: "machines" });
});

test("tries a group that lacks machines while the healthy one is drained, and only then", async () => {
  const healthy = { ...group, name: "p5-b", zones: ["zone-b"], mostNodes: 3 };
  const world = await worldWith([{ ...group, lacks: "machines" }, healthy]);
  const before = await getMakeable(world);
  await drainPart(world.ctx, "h100", { nodeGroup: "p5-b" }, { by: "ada", reason: null });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(2 * MINUTE_MS);
  const [drained, { shortage }] = [await getMakeable(world), await readMakeable(world.ctx, "h100")];
  const reason = await getReason(world, "alice", "one");
  await world.advance(Math.max(0, (shortage?.until ?? 0) - world.clock.now()) + MINUTE_MS);
  const { phase, run } = await world.read("alice", "one");
  await undrainPart(world.ctx, "h100", { nodeGroup: "p5-b" });
  await world.advance(2 * MINUTE_MS);

  expect([before, drained, await getMakeable(world)]).toEqual([3, 2, 3]);
  expect(reason).toMatch(/^AWS has no p5.48xlarge in zone-a now; the next try is at /);
  expect([phase, run.grant?.avoids]).toEqual(["preparing", [{ nodeGroup: "p5-b" }]]);
  expect((await readMakeable(world.ctx, "h100")).shortage).toBeUndefined();
});

test("a group that no longer lacks machines is granted at the next answer", async () => {
  const world = await worldWith([{ ...group, lacks: "machines" }]);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  const getCount = async () => (await readMakeable(world.ctx, "h100")).shortage?.count;
  while ((await getCount()) !== 4) await world.advance(MINUTE_MS);
  world.machineGroups.set([group]);
  for (let minute = 0; minute < 6; minute++) await world.advance(MINUTE_MS);

  expect((await readMakeable(world.ctx, "h100")).shortage).toBeUndefined();
  expect((await world.read("alice", "one")).phase).toBe("preparing");
});

test("changes no ledger while the stored answer has a newer format", async () => {
  const world = await worldWith([group]);
  const item = await world.table.get(machineGroupsKey);
  await world.table.put({ ...item, ...machineGroupsKey, format: 1_000_000, groups: "new" } as Item);
  world.machineGroups.set([]);
  await world.advance(HOUR_MS);

  expect(await getMakeable(world)).toBe(2);
});

test("replaces a damaged answer at the next question, and then asks no more often than before", async () => {
  const world = await worldWith([group]);
  const item = await world.table.get(machineGroupsKey);
  await world.table.put({ ...item, ...machineGroupsKey, groups: "damaged" } as Item);
  world.machineGroups.set([{ ...group, mostNodes: 4 }]);
  const before = world.machineGroups.calls;

  for (let minute = 0; minute < 10; minute++) await world.advance(MINUTE_MS);

  expect(await getMakeable(world)).toBe(4);
  expect(world.machineGroups.calls - before).toBeLessThanOrEqual(3);
});

test.each([
  ["without a stored answer", undefined],
  ["whose stored answer is damaged", "damaged"],
])("asks a provider %s every 5 minutes while it refuses, and changes no ledger", async (_, groups) => {
  const world = await worldWith([group]);
  const item = await world.table.get(machineGroupsKey);
  if (groups === undefined) await world.table.remove(machineGroupsKey, { ifWriter: item?.writers[0] ?? "" });
  else await world.table.put({ ...item, ...machineGroupsKey, groups } as Item);
  world.machineGroups.set(Object.assign(new Error("no"), { name: "AccessDeniedException" }));
  const before = world.machineGroups.calls;

  for (let minute = 0; minute < 10; minute++) await world.advance(MINUTE_MS);

  expect(await getMakeable(world)).toBe(2);
  expect(world.machineGroups.calls - before).toBeLessThanOrEqual(3);
  expect(await world.table.get(machineGroupsKey)).toMatchObject({ groups: [], failure: "AccessDeniedException" });
});

test("a machine with an unreadable ledger item lowers once what its group may create", async () => {
  const world = await worldWith([{ ...group, mostNodes: 4 }]);
  joins(world, "made-1", "p5-a");
  joins(world, "made-2", "p5-a");
  await world.advance(2 * MINUTE_MS);
  const before = await getMakeable(world);
  const item = world.table.all().find(({ kind, name }) => kind === "node" && name === "made-1");
  await world.table.put({ ...item, units: "?" } as unknown as Item);
  await world.advance(6 * MINUTE_MS);

  expect([before, await getMakeable(world)]).toEqual([2, 2]);
});
