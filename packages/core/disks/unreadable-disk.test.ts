import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import type { Item } from "../ports/table.ts";
import { reconcile } from "../reconciler/reconcile.ts";
import { directoryKey, keyText, operationKey } from "../store/keys.ts";
import { FORMAT } from "../store/unreadable.ts";
import { createDisk } from "./create.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Overwrites a field of the disk, as a half-done copy or an operator would. */
async function editDisk(world: MemoryWorld, fields: Record<string, unknown>): Promise<void> {
  const disk = world.table.all().find(({ kind }) => kind === "disk");
  if (!disk) throw new Error("No disk");
  await world.table.put({ ...disk, ...fields });
}

/** Alice waits with an unreadable disk; a machine comes, and Bob asks for all of it after her. */
async function waitingWorld(): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: [], settings: { maxQueueHours: 4 } });
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await world.advance(MINUTE);
  await editDisk(world, { sizeGb: "many" });
  await createEnvironment(world.as("bob"), newEnvironment("two"));
  for (const node of newNodes({ h100: 1 })) world.compute.setNode(node);
  return world;
}

test("a job with an unreadable disk gets no GPUs, since it could not use them", async () => {
  const world = await waitingWorld();

  await world.advance(10 * MINUTE);

  expect(await world.read("bob", "two")).toMatchObject({ phase: "active" });
  expect(await world.read("alice", "one")).toMatchObject({
    phase: "queued",
    reason: "The record of disk 'data' cannot be read; waiting",
  });
});

test("capacity reserved for a job that leaves the queue for its unreadable disk goes to the next job at once", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("carol"), newEnvironment("half", { gpus: 4, hours: 24 }));
  await world.advance(MINUTE);
  await createEnvironment(world.as("alice"), newEnvironment("one", { gpus: 8, disk: "data" }));
  await world.advance(MINUTE);
  await createEnvironment(world.as("bob"), newEnvironment("two", { gpus: 4, hours: 48 }));
  await world.advance(MINUTE);
  const before = (await world.read("bob", "two")).phase;
  await editDisk(world, { sizeGb: "many" });
  await world.table.put({ ...(await world.read("alice", "one")), dueAt: world.clock.now() } as Item);

  await reconcile(world.ctx, { look: keyText(await world.read("alice", "one")) });
  await world.deliver();

  expect([before, (await world.read("bob", "two")).phase]).toEqual(["queued", "active"]);
});

test("a job with a disk of a newer version keeps its place in the queue", async () => {
  const world = await memoryWorld({ nodes: [] });
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await world.advance(MINUTE);
  const { run, waitPool } = await world.read("alice", "one");
  await createEnvironment(world.as("bob"), newEnvironment("two"));
  await editDisk(world, { format: FORMAT + 1 });
  await world.advance(20 * MINUTE);
  const waits = await world.read("alice", "one");

  await editDisk(world, { format: FORMAT });
  for (const node of newNodes({ h100: 1 })) world.compute.setNode(node);
  await world.advance(5 * MINUTE);

  expect(waits).toMatchObject({ phase: "queued", run: { n: run.n }, waitPool, reason: null });
  expect((await world.read("alice", "one")).phase).toBe("active");
  expect((await world.read("bob", "two")).phase).toBe("queued");
});

test("a job starts with its disk once that is readable again", async () => {
  const world = await waitingWorld();
  await requestCancel(world.as("bob"), "two");
  await world.advance(10 * MINUTE);

  await editDisk(world, { sizeGb: 100, dueAt: world.clock.now() });
  await world.advance(5 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", disk: { attached: true } });
});

test("a job with an unreadable disk ends at the limit of the queue", async () => {
  const world = await waitingWorld();

  await world.advance(5 * HOUR);

  const reason = "Waited in the queue for 4 hours: The record of disk 'data' cannot be read; waiting";
  expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", reason });
});

test("a job with an unreadable disk can be cancelled, and the disk is free once it is readable", async () => {
  const world = await waitingWorld();
  await requestCancel(world.as("alice"), "one");
  await world.advance(5 * MINUTE);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled" });
  await requestCancel(world.as("bob"), "two");
  await editDisk(world, { sizeGb: 100 });

  await createEnvironment(world.as("alice"), newEnvironment("three", { disk: "data" }));
  await world.advance(MINUTE);

  expect(await world.read("alice", "three")).toMatchObject({ phase: "active", disk: { attached: true } });
});

test("a job with an unreadable disk shows that while it stops, and continues once it is readable", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await world.advance(MINUTE);
  await editDisk(world, { sizeGb: "many" });

  await requestCancel(world.as("alice"), "one");
  await world.advance(20 * MINUTE);

  const reason = "The record of disk 'data' cannot be read; waiting";
  const stopping = await world.read("alice", "one");
  expect(stopping).toMatchObject({ phase: "stopping", end: { waitsFor: reason } });
  expect(stopping.events.timeline.at(-1)?.reason).toBe(reason);
  await editDisk(world, { sizeGb: 100 });
  await world.advance(5 * MINUTE);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", disk: { released: true } });
});

test("an unreadable request does not block its disk", async () => {
  const world = await memoryWorld({ nodes: [] });
  const { id } = await createDisk(world.as("alice"), { name: "data", sizeGb: 100 });
  const operation = world.table.all().find(({ kind }) => kind === "operation");
  await world.table.put({ ...operation, status: 7 } as never);

  await world.advance(MINUTE);

  expect(world.table.all().find(({ kind }) => kind === "disk")).toMatchObject({ phase: "available", operations: [] });
  expect(await world.table.get(operationKey(world.as("alice").actor.uid, id))).toMatchObject({ status: 7 });
});

test("an invalid directory hides no backup, and keeps the next job's disk usable", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), snapshotMs: MINUTE / 2 });
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await world.advance(MINUTE);
  await requestCancel(world.as("alice"), "one");
  await world.deliver();
  await createEnvironment(world.as("alice"), newEnvironment("two", { disk: "data" }));
  const directory = await world.table.get(directoryKey(world.as("alice").actor.uid));
  await world.table.put({ ...directory, names: { data: 1 } } as never);

  await world.advance(30 * MINUTE);

  expect(world.table.all().find(({ kind }) => kind === "disk")).toMatchObject({ snapshots: [{ completed: true }] });
  expect(await world.read("alice", "two")).toMatchObject({ phase: "active", disk: { attached: true } });
});
