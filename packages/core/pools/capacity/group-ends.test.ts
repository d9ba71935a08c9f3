import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { reservation } from "../../environments/record/policy.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { admissionKey } from "../../store/keys.ts";
import { HOUR_MS, MINUTE_MS } from "../../units.ts";
import { readAdmission } from "../admission/admission.ts";
import { drainPart, planDrain, undrainPart } from "../admission/drain-part.ts";
import { readAdvice } from "../forecast/advice.ts";
import { reasonText } from "../plan/reasons.ts";

const START = Date.UTC(2026, 0, 20, 18);
const block = { name: "block", instanceTypes: ["p5.48xlarge"], isActive: true, admitsRuns: true };
const operator = { by: "ada", reason: "New disk" };

/** Returns a pool with one machine, whose node group its provider ends after these hours, if any. */
async function startWorld(hours?: number, instanceTypes = block.instanceTypes): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: [], startAt: START });
  const [node] = newNodes({ h100: 1 });
  if (node) world.compute.setNode({ ...node, group: "block" });
  await endsAfter(world, hours, instanceTypes);
  return world;
}

/** The schedule asks for the groups every five minutes. */
async function endsAfter(world: MemoryWorld, hours?: number, instanceTypes = block.instanceTypes): Promise<void> {
  const endsAt = hours === undefined ? undefined : START + hours * HOUR_MS;
  world.machineGroups.set([{ ...block, instanceTypes, zones: ["zone-a"], mostNodes: 1, endsAt }]);
  await world.advance(6 * MINUTE_MS);
}

async function submit(world: MemoryWorld, id: string, hours: number, gpus = 4): Promise<void> {
  await createEnvironment(world.as("alice"), newEnvironment(id, { hours, gpus }));
  await world.advance(MINUTE_MS);
}

const findPhase = async (world: MemoryWorld, id: string) => (await world.read("alice", id)).phase;

async function findReason(world: MemoryWorld, id: string): Promise<string | undefined> {
  const environment = await world.read("alice", id);
  const { place } = (await readAdvice(world.ctx, [environment])).get(environment.uid) ?? {};
  return place && reasonText(place, environment.size.pool);
}

/** Nothing starts in the last ten minutes. */
const closesAt = (hours: number) => START + hours * HOUR_MS - 10 * MINUTE_MS;
const planned = { type: "h100", nodeGroup: "block", by: "provider", byProvider: true };

test.each([
  ["the provider names its machine type", block.instanceTypes],
  ["only its machine tells the type", []],
])("a job that would outlive a group does not start there, and says when it ends: %s", async (_, instanceTypes) => {
  const world = await startWorld(4, instanceTypes);

  await submit(world, "long", 5);
  await submit(world, "short", 3);

  expect(await findPhase(world, "short")).toBe("active");
  expect(await findPhase(world, "long")).toBe("queued");
  expect(await findReason(world, "long")).toBe(
    "Need 4 H100 GPUs, but the job would still run when node group block closes at 2026-01-20 21:50 UTC - position #1",
  );
  expect((await readAdmission(world.ctx)).planned).toMatchObject([{ ...planned, from: closesAt(4) }]);
});

test("a run that is still there ten minutes before the end is warned", async () => {
  const world = await startWorld();
  await submit(world, "runs", 5);
  await endsAfter(world, 2);
  const findNotices = async () =>
    (await world.read("alice", "runs")).events.timeline
      .map(({ reason }) => reason)
      .filter((reason) => reason?.startsWith("Interruption"));

  await world.advance(START + 2 * HOUR_MS - 11 * MINUTE_MS - world.clock.now());
  const before = await findNotices();
  await world.advance(2 * MINUTE_MS);

  expect(before).toEqual([]);
  expect(await findNotices()).toEqual(["Interruption: its provider ends its machine in 10 minutes: h100-1"]);
});

test.each([
  ["stays until its machine goes", undefined],
  ["leaves its machine in time if it returns to the queue", "requeue" as const],
])("a run that outlives its group %s", async (_, onInterruption) => {
  const world = await startWorld();
  const policy = { ...reservation, onInterruption };
  await createEnvironment(world.as("alice"), { ...newEnvironment("runs", { hours: 5, command: "train" }), policy });
  await world.advance(MINUTE_MS);
  await endsAfter(world, 2);
  const [node] = newNodes({ h100: 1 });
  if (node) world.compute.setNode({ ...node, name: "other", uid: "uid-other", providerId: "memory:///other" });
  const endsAt = START + 2 * HOUR_MS;
  await world.advance(endsAt - 2 * MINUTE_MS - world.clock.now());
  const before = await world.read("alice", "runs");

  await world.advance(4 * MINUTE_MS);

  const { phase, run, events } = await world.read("alice", "runs");
  const left = events.timeline.find(({ reason }) => reason?.startsWith("Queued again"));
  expect([before.phase, before.run.n]).toEqual(["active", 1]);
  expect([phase, run.machines[0]?.name]).toEqual(["active", onInterruption ? "other" : "h100-1"]);
  expect(left?.reason).toEqual(
    onInterruption && expect.stringContaining("It left its machine before its provider ends it: h100-1"),
  );
  expect(left?.at ?? 0).toBeLessThan(endsAt);
});

test("a warned run is told when the end of its group moves", async () => {
  const world = await startWorld();
  await submit(world, "runs", 5);
  await endsAfter(world, 1);
  await world.advance(START + HOUR_MS - 9 * MINUTE_MS - world.clock.now());
  const before = await world.read("alice", "runs");

  const moved = START + HOUR_MS + MINUTE_MS;
  world.machineGroups.set([{ ...block, zones: ["zone-a"], mostNodes: 1, endsAt: moved }]);
  await world.advance(6 * MINUTE_MS);

  expect(before.run.interruption).toMatchObject({ kind: "removal", endsAt: START + HOUR_MS });
  expect((await world.read("alice", "runs")).run.interruption).toMatchObject({ kind: "removal", endsAt: moved });
});

test("a group whose end moves closes at the new time, and keeps it until the group is deleted", async () => {
  const world = await startWorld(2);
  await submit(world, "long", 5);

  await endsAfter(world, 8);

  expect(await findPhase(world, "long")).toBe("active");
  await endsAfter(world);
  expect((await readAdmission(world.ctx)).planned).toMatchObject([{ ...planned, from: closesAt(8) }]);
  world.machineGroups.set([]);
  await world.advance(6 * MINUTE_MS);
  expect((await readAdmission(world.ctx)).planned).toEqual([]);
});

test("after its end a group is drained, until it has a later one", async () => {
  const world = await startWorld(1);
  await world.advance(HOUR_MS);

  expect((await readAdmission(world.ctx)).parts).toMatchObject([{ ...planned, at: closesAt(1) }]);
  await submit(world, "late", 1);
  expect(await findPhase(world, "late")).toBe("queued");
  // Writes of an operator do not turn the end into a drain.
  await drainPart(world.ctx, "h100", { zone: "zone-a" }, operator);
  await undrainPart(world.ctx, "h100", { zone: "zone-a" });

  await endsAfter(world, 6);

  expect((await readAdmission(world.ctx)).parts).toEqual([]);
  expect(await findPhase(world, "late")).toBe("active");
});

test("operators cannot reopen the group of an end, at no instant, and their own drains of it stay", async () => {
  const world = await startWorld(4);
  const part = { nodeGroup: "block" };
  const undrain = () => undrainPart(world.ctx, "h100", part);

  await expect(undrain()).rejects.toThrow(
    / is not drained, .* its provider ends its machines: it closes at 2026-01-20 21:50/,
  );
  await planDrain(world.ctx, "h100", part, { ...operator, from: START + 40 * HOUR_MS });
  expect((await readAdmission(world.ctx)).planned).toMatchObject([{ ...planned, from: closesAt(4) }, operator]);
  await drainPart(world.ctx, "h100", part, operator);
  expect(await readAdmission(world.ctx)).toMatchObject({ parts: [operator], planned: [planned] });
  expect((await undrain()).planned).toMatchObject([planned]);
  await submit(world, "long", 5);
  expect(await findPhase(world, "long")).toBe("queued");
});

test("a job that only a new machine of an ended group could start says so", async () => {
  const world = await startWorld(1);
  await world.advance(HOUR_MS);
  world.compute.removeNode("h100-1");
  await world.advance(6 * MINUTE_MS);

  await submit(world, "late", 1);

  expect(await findReason(world, "late")).toBe(
    "Need 4 H100 GPUs, but machines where it could start are drained or have ended - position #1",
  );
});

test("a drain by an operator after the end holds when the group gets a later end", async () => {
  const world = await startWorld(1);
  await world.advance(HOUR_MS);
  await drainPart(world.ctx, "h100", { nodeGroup: "block" }, operator);

  await endsAfter(world, 8);

  expect((await readAdmission(world.ctx)).parts).toMatchObject([operator]);
  await submit(world, "late", 1);
  expect(await findPhase(world, "late")).toBe("queued");
});

test.each(["before its end", "after it"])("an unchanged end writes nothing %s", async (when) => {
  const world = await startWorld(1);
  if (when === "after it") await world.advance(HOUR_MS);
  const before = await world.table.get(admissionKey);

  await world.advance(10 * MINUTE_MS);

  expect(before).toBeDefined();
  expect(await world.table.get(admissionKey)).toEqual(before);
});

test("while the provider does not answer, its last end counts", async () => {
  const world = await startWorld(4);
  world.machineGroups.set(new Error("throttled"));
  await world.advance(30 * MINUTE_MS);

  await submit(world, "long", 5);

  expect(await findPhase(world, "long")).toBe("queued");
});
