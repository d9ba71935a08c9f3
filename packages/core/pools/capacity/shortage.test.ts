import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { NodeGroup } from "../../settings.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../units.ts";
import { readCapacity } from "../admission/availability.ts";
import { readAdvice, type WaitAdvice } from "../forecast/advice.ts";
import { estimateStart } from "../forecast/estimate.ts";
import { readMakeable } from "../ledger/ledger.ts";
import { reasonText } from "../plan/reasons.ts";
import { refreshCapacity } from "./capacity.ts";

const group: NodeGroup = { pool: "h100", mostNodes: 1, startupMs: 5 * MINUTE_MS, zones: [] };

async function scaledToZero(mostNodes = 1, settings = {}): Promise<MemoryWorld> {
  return memoryWorld({ nodes: [], settings: { nodeGroups: [{ ...group, mostNodes }], ...settings } });
}

function joins(world: MemoryWorld, name: string, zone = "zone-a"): void {
  const [node] = newNodes({ h100: 1 });
  if (node) world.compute.setNode({ ...node, name, zone, uid: `uid-${name}`, providerId: `memory:///${name}` });
}

async function getPlace(world: MemoryWorld, id: string): Promise<WaitAdvice["place"]> {
  const environment = await world.read("alice", id);
  return (await readAdvice(world.ctx, [environment])).get(environment.uid)?.place;
}

const getShortage = async ({ ctx }: MemoryWorld) => (await readMakeable(ctx, "h100")).shortage;

/** Advances minute by minute, and returns when the job got each of its grants, in minutes. */
async function grantsWithin(world: MemoryWorld, minutes: number): Promise<number[]> {
  const begunAt = world.clock.now();
  for (let minute = 0; minute < minutes; minute++) await world.advance(MINUTE_MS);
  const { timeline } = (await world.read("alice", "one")).events;
  const granted = timeline.filter(({ reason }) => reason?.startsWith("Capacity granted"));
  return granted.map(({ at }) => Math.round((at - begunAt) / MINUTE_MS));
}

test("a job whose new machine does not come returns to its place, says when it is tried again, and no try counts", async () => {
  const world = await scaledToZero();
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(9 * MINUTE_MS);
  const patient = await world.read("alice", "one");
  await world.advance(2 * MINUTE_MS);

  const { phase, placement, queuedAt, events } = await world.read("alice", "one");
  const place = await getPlace(world, "one");
  expect([patient.phase, phase, queuedAt]).toEqual(["preparing", "queued", patient.queuedAt]);
  expect(placement).toMatchObject({ withdrawals: 0, withdrawn: { nodes: [], lacksMachine: true } });
  expect(events.timeline.map(({ reason }) => reason)).toContain(
    "No new p5.48xlarge came within 10 minutes; waiting again",
  );
  expect(place && reasonText(place, "h100")).toMatch(
    /^No new H100 machine came; the next try is at \d{4}-\d\d-\d\d \d\d:\d\d UTC - position #1$/,
  );
  const retryAt = (await getShortage(world))?.until ?? 0;
  expect(place?.available).toBe(retryAt);
  expect(place?.startsAt).toBeGreaterThanOrEqual(retryAt + group.startupMs);
});

test("a job whose provider says that it lacks machines returns to its place at once, and says so, and no try counts", async () => {
  const world = await scaledToZero();
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, {
    kind: "neverBinds",
    reason: "AWS has no p5.48xlarge in us-east-1a now",
    lacks: "machines",
  });
  await world.advance(2 * MINUTE_MS);

  const { phase, placement, run, events } = await world.read("alice", "one");
  const place = await getPlace(world, "one");
  const shortage = await getShortage(world);
  expect([phase, run.lacks, placement.withdrawals]).toEqual(["queued", undefined, 0]);
  expect(placement.withdrawn).toMatchObject({ nodes: [], lacksMachine: true, lacks: "machines" });
  expect(events.timeline.map(({ reason }) => reason)).toContain(
    "No new p5.48xlarge came: AWS has no p5.48xlarge in us-east-1a now; waiting again",
  );
  expect(shortage).toMatchObject({ count: 1, lacks: "machines" });
  expect(place?.available).toBe(shortage?.until);
  expect(place && reasonText(place, "h100")).toMatch(
    /^AWS has no p5.48xlarge now; the next try is at \d{4}-\d\d-\d\d \d\d:\d\d UTC - position #1$/,
  );
});

test("a job whose provider lacks machines is not at fault, although a machine that came meanwhile has room", async () => {
  const world = await scaledToZero();
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: "AWS has no p5.48xlarge now", lacks: "machines" });
  const { apply } = world.compute;
  world.compute.apply = async (made) => {
    await apply(made);
    if (made.run > 1) return;
    joins(world, "made-1");
    await refreshCapacity(world.ctx);
  };
  await world.advance(30_000);

  const { placement, run } = await world.read("alice", "one");
  expect(placement).toMatchObject({ withdrawals: 0, withdrawn: { run: 1, nodes: [] } });
  expect(run.grant?.shares[0]?.node).toBe("made-1");
});

test("tries of a group without capacity become rarer, and only the limit of the queue ends the job", async () => {
  const world = await scaledToZero(1, { maxQueueHours: 6 });
  await createEnvironment(world.as("alice"), newEnvironment("one"));

  const granted = await grantsWithin(world, 5 * 60);
  const before = await world.read("alice", "one");
  await world.advance(DAY_MS);
  const after = await world.read("alice", "one");

  const pauses = granted.slice(1).map((at, index) => at - (granted[index] ?? 0) - 10);
  expect(pauses.slice(0, 5).map((minutes) => Math.round(minutes / 3))).toEqual([1, 2, 4, 8, 10]);
  expect([before.phase === "queued" || before.phase === "preparing", before.placement.withdrawals]).toEqual([true, 0]);
  expect([after.phase, after.end.outcome?.reason]).toEqual([
    "cancelled",
    expect.stringContaining("Waited in the queue"),
  ]);
});

test("tries that say at once what is lacking come at least every 12 minutes, because they take no time", async () => {
  const world = await scaledToZero(1, { maxQueueHours: 6 });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: "AWS has no p5.48xlarge now", lacks: "machines" });

  const granted = await grantsWithin(world, 90);

  const pauses = granted.slice(1).map((at, index) => at - (granted[index] ?? 0));
  expect(pauses.slice(0, 5).map((minutes) => Math.round(minutes / 3))).toEqual([1, 2, 4, 4, 4]);
});

test("shows a type without capacity at zero with what could be made, and estimates starts after the next try", async () => {
  const world = await scaledToZero(3);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(11 * MINUTE_MS);

  const { pools } = await readCapacity(world.ctx);
  const retryAt = (await getShortage(world))?.until ?? 0;

  expect(pools).toMatchObject([
    { pool: "h100", hasMachines: true, total: 24, available: 0, largestFree: 0, makeable: 3 },
  ]);
  const { size } = await world.read("alice", "one");
  const estimate = await estimateStart(world.as("bob"), { size, disk: undefined }, []);
  const p50 = estimate.kind === "estimate" ? estimate.answer.p50 : null;
  expect(p50).toBeGreaterThanOrEqual(retryAt + group.startupMs);
});

test("a machine that comes during the pause starts the job, and ends the shortage for others", async () => {
  const world = await scaledToZero(3);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(11 * MINUTE_MS);
  const waits = await world.read("alice", "one");

  joins(world, "made-1");
  await world.advance(2 * MINUTE_MS);
  await createEnvironment(world.as("bob"), newEnvironment("two"));
  await world.advance(MINUTE_MS);

  expect([waits.phase, (await world.read("alice", "one")).phase]).toEqual(["queued", "active"]);
  expect(await getShortage(world)).toBeUndefined();
  expect((await world.read("bob", "two")).phase).toBe("preparing");
});

test("jobs that wait during a shortage start on existing machines that become free", async () => {
  const world = await memoryWorld({
    nodes: newNodes({ h100: 1 }),
    settings: { nodeGroups: [{ ...group, mostNodes: 2 }] },
  });
  await createEnvironment(world.as("bob"), newEnvironment("before"));
  await world.advance(MINUTE_MS);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(12 * MINUTE_MS);
  const shortage = await getShortage(world);

  await requestCancel(world.as("bob"), "before");
  await world.advance(2 * MINUTE_MS);

  expect(shortage?.count).toBe(1);
  expect((await world.read("alice", "one")).run.machines.map(({ name }) => name)).toEqual(["h100-1"]);
});

test("a try after a shortage waits for at most eight machines", async () => {
  const world = await scaledToZero(20);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(11 * MINUTE_MS);
  for (let n = 0; n < 12; n++) await createEnvironment(world.as(`user-${n}`), newEnvironment("job"));
  const { until = 0 } = (await getShortage(world)) ?? {};

  await world.advance(until - world.clock.now() + MINUTE_MS);

  const pool = await viewPool(world.ctx, "h100");
  expect([(pool?.held.length ?? 0) + (pool?.granted.length ?? 0), pool?.summary.waiting]).toEqual([8, 5]);
});

test("a job with room on a machine that came, but refused there, fails after three tries", async () => {
  const world = await scaledToZero();
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: "0/1 nodes are available" });
  await world.advance(MINUTE_MS);
  joins(world, "made-1");

  await world.advance(2 * HOUR_MS);

  expect(await world.read("alice", "one")).toMatchObject({
    phase: "failed",
    end: { outcome: { reason: "No machine could start it, 3 times: 0/1 nodes are available" } },
  });
});

test("a try does not count while another run that waits for a machine may have the only one that came", async () => {
  const world = await scaledToZero(2);
  for (const owner of ["alice", "bob"]) {
    const { uid } = await createEnvironment(world.as(owner), newEnvironment("one"));
    world.compute.program(uid, { kind: "neverBinds", reason: "0/1 nodes are available" });
    await world.advance(2 * MINUTE_MS);
  }
  joins(world, "made-1");
  await world.advance(7 * MINUTE_MS);

  const { run, placement } = await world.read("alice", "one");
  expect([run.n, placement.withdrawals]).toEqual([2, 0]);
});

test("a machine that comes after half an hour leaves its run the whole time to become ready", async () => {
  const slow = { ...group, startupMs: 40 * MINUTE_MS };
  const settings = { nodeGroups: [slow], preparingMinutes: 30 };
  const world = await memoryWorld({ nodes: [], settings, delays: { imageMs: 20 * MINUTE_MS } });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(45 * MINUTE_MS);
  const waits = await world.read("alice", "one");
  joins(world, "made-1");
  await world.advance(10 * MINUTE_MS);
  const pulls = await world.read("alice", "one");
  await world.advance(12 * MINUTE_MS);

  expect([waits.phase, waits.step]).toEqual(["preparing", "pod"]);
  expect([pulls.phase, pulls.step]).toEqual(["preparing", "image"]);
  expect((await world.read("alice", "one")).phase).toBe("active");
});

test("a run on a new machine that never becomes ready fails after its time", async () => {
  const settings = { nodeGroups: [group], preparingMinutes: 30 };
  const world = await memoryWorld({ nodes: [], settings, delays: { imageMs: DAY_MS } });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(8 * MINUTE_MS);
  joins(world, "made-1");
  await world.advance(29 * MINUTE_MS);
  const patient = await world.read("alice", "one");
  await world.advance(3 * MINUTE_MS);

  expect(patient.phase).toBe("preparing");
  expect((await world.read("alice", "one")).end.outcome?.reason).toBe("Not ready after 30 minutes, at step image");
});

test("a job of two machines waits for its second one, and its first one counts as no room for that", async () => {
  const settings = { nodeGroups: [{ ...group, mostNodes: 2 }], maxQueueHours: 24 };
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), settings });
  await createEnvironment(world.as("alice"), newEnvironment("one", { gpus: 16 }));

  await world.advance(3 * HOUR_MS);
  const waits = await world.read("alice", "one");
  joins(world, "made-1");
  await world.advance(HOUR_MS);

  expect(waits.placement).toMatchObject({ withdrawals: 0, withdrawn: { nodes: [] } });
  expect((await world.read("alice", "one")).phase).toBe("active");
});

/** Returns a pool scaled to zero in two zones, after alice used her disk on a machine of the first, which is gone. */
async function withDiskInZoneA(mostNodes: number): Promise<MemoryWorld> {
  const nodeGroups = [{ ...group, mostNodes, zones: ["zone-a", "zone-b"] }];
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), settings: { nodeGroups } });
  await createEnvironment(world.as("alice"), newEnvironment("first", { disk: "data" }));
  await world.advance(MINUTE_MS);
  await requestCancel(world.as("alice"), "first");
  await world.advance(5 * MINUTE_MS);
  world.compute.removeNode("h100-1");
  await world.advance(2 * MINUTE_MS);
  return world;
}

test("a job whose disk is in an empty zone pauses no job that can run in another, and says where it waits", async () => {
  const world = await withDiskInZoneA(3);
  await createEnvironment(world.as("alice"), newEnvironment("pinned", { disk: "data" }));
  await world.advance(11 * MINUTE_MS);
  const pinned = await world.read("alice", "pinned");
  const place = await getPlace(world, "pinned");
  const { shortage, zoneShortages = {} } = await readMakeable(world.ctx, "h100");

  await createEnvironment(world.as("bob"), newEnvironment("free"));
  await world.advance(MINUTE_MS);
  const granted = await world.read("bob", "free");
  joins(world, "made-b", "zone-b");
  await world.advance(2 * MINUTE_MS);

  expect([pinned.phase, pinned.placement]).toMatchObject(["queued", { withdrawals: 0, withdrawn: { zone: "zone-a" } }]);
  expect([shortage, Object.keys(zoneShortages)]).toEqual([undefined, ["zone-a"]]);
  expect(place && reasonText(place, "h100")).toMatch(
    /^No new H100 machine came in zone-a; the next try is at .* UTC - position #1$/,
  );
  expect(place?.startsAt).toBe((zoneShortages["zone-a"]?.until ?? 0) + group.startupMs);
  expect([granted.phase, (await world.read("bob", "free")).phase]).toEqual(["preparing", "active"]);
  expect((await readMakeable(world.ctx, "h100")).zoneShortages).toEqual(zoneShortages);
});

test("a job that must be in a zone where its provider lacks machines names the zone and what is missing", async () => {
  const world = await withDiskInZoneA(3);
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("pinned", { disk: "data" }));
  world.compute.program(uid, { kind: "neverBinds", reason: "The quota is used up", lacks: "quota" });
  await world.advance(2 * MINUTE_MS);

  const place = await getPlace(world, "pinned");
  const { shortage, zoneShortages } = await readMakeable(world.ctx, "h100");
  expect([shortage, zoneShortages]).toMatchObject([undefined, { "zone-a": { count: 1, lacks: "quota" } }]);
  expect(place && reasonText(place, "h100")).toMatch(
    /^The AWS account's quota for p5.48xlarge is used up; the next try is at /,
  );
});

test("tries in an empty zone become rarer, and a machine there ends its shortage", async () => {
  const world = await withDiskInZoneA(3);
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  const getCount = async () => (await readMakeable(world.ctx, "h100")).zoneShortages?.["zone-a"]?.count;

  for (let minute = 0; minute < 80; minute++) await world.advance(MINUTE_MS);
  const count = await getCount();
  joins(world, "made-a", "zone-a");
  await world.advance(3 * MINUTE_MS);

  expect([count, await getCount()]).toEqual([4, undefined]);
  expect((await world.read("alice", "one")).phase).toBe("active");
});

test("a job of two machines starts in a zone that lacked none lately, also after the pause of the other", async () => {
  const world = await scaledToZero(2, { nodeGroups: [{ ...group, mostNodes: 4, zones: ["zone-a", "zone-b"] }] });
  await createEnvironment(world.as("alice"), newEnvironment("one", { gpus: 16 }));
  await world.advance(12 * MINUTE_MS);
  await requestCancel(world.as("alice"), "one");
  await world.advance(3 * MINUTE_MS);
  const { zoneShortages } = await readMakeable(world.ctx, "h100");
  const pausedUntil = zoneShortages?.["zone-a"]?.until ?? Number.POSITIVE_INFINITY;

  await createEnvironment(world.as("bob"), newEnvironment("two", { gpus: 16 }));
  await world.advance(1_000);
  const { run } = await world.read("bob", "two");

  expect(pausedUntil).toBeLessThan(world.clock.now());
  expect(run.grant?.shares.map(({ zone }) => zone)).toEqual(["zone-b", "zone-b"]);
});

test("a job of two machines tries another zone while the first lacks machines", async () => {
  const world = await scaledToZero(2, { nodeGroups: [{ ...group, mostNodes: 2, zones: ["zone-a", "zone-b"] }] });
  await createEnvironment(world.as("alice"), newEnvironment("one", { gpus: 16 }));
  await world.advance(MINUTE_MS);
  const first = await world.read("alice", "one");
  await world.advance(11 * MINUTE_MS);
  const second = await world.read("alice", "one");
  for (const name of ["made-1", "made-2"]) joins(world, name, "zone-b");
  await world.advance(3 * MINUTE_MS);

  const zonesOf = ({ run }: typeof first) => run.grant?.shares.map(({ zone }) => zone);
  expect([zonesOf(first), zonesOf(second)]).toEqual([
    ["zone-a", "zone-a"],
    ["zone-b", "zone-b"],
  ]);
  expect((await world.read("alice", "one")).phase).toBe("active");
});
