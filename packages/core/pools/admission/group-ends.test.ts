import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { admissionKey } from "../../store/keys.ts";
import { HOUR_MS, MINUTE_MS } from "../../units.ts";
import { readAdvice } from "../forecast/advice.ts";
import { reasonText } from "../plan/reasons.ts";
import { readAdmission } from "./admission.ts";
import { drainPart, undrainPart } from "./drain-part.ts";

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
    "Need 4 H100 GPUs, but the job would still run when node group block ends at 2026-01-20 22:00 UTC - position #1",
  );
  expect((await readAdmission(world.ctx)).planned).toMatchObject([{ ...planned, from: START + 4 * HOUR_MS }]);
});

test("a run that is still there is told ten minutes before the end", async () => {
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
  expect(await findNotices()).toEqual(["Interruption: its machine is being removed from the cluster: h100-1"]);
});

test("an end that moves is planned anew, and one that is gone is dropped", async () => {
  const world = await startWorld(2);
  await submit(world, "long", 5);

  await endsAfter(world, 8);

  expect(await findPhase(world, "long")).toBe("active");
  expect((await readAdmission(world.ctx)).planned).toMatchObject([{ ...planned, from: START + 8 * HOUR_MS }]);
  await endsAfter(world);
  expect((await readAdmission(world.ctx)).planned).toEqual([]);
});

test("after its end a group is drained, until it has a later one", async () => {
  const world = await startWorld(1);
  await world.advance(HOUR_MS);

  expect((await readAdmission(world.ctx)).parts).toMatchObject([{ ...planned, at: START + HOUR_MS }]);
  await submit(world, "late", 1);
  expect(await findPhase(world, "late")).toBe("queued");
  // A write of an operator stores what has come due.
  await drainPart(world.ctx, "h100", { zone: "zone-a" }, operator);
  await undrainPart(world.ctx, "h100", { zone: "zone-a" });

  await endsAfter(world, 6);

  expect((await readAdmission(world.ctx)).parts).toEqual([]);
  expect(await findPhase(world, "late")).toBe("active");
});

test("a group that an operator drains stays so, and one that an operator reopens ends all the same", async () => {
  const world = await startWorld(4);
  await drainPart(world.ctx, "h100", { nodeGroup: "block" }, operator);
  await world.advance(5 * MINUTE_MS);

  expect(await readAdmission(world.ctx)).toMatchObject({ parts: [operator], planned: [] });

  await undrainPart(world.ctx, "h100", { nodeGroup: "block" });
  await world.advance(2 * MINUTE_MS);

  expect(await readAdmission(world.ctx)).toMatchObject({ parts: [], planned: [planned] });
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
