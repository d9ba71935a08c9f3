import { describe, expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { refreshCapacity } from "./capacity.ts";
import { listNodes } from "./list-nodes.ts";
import { declareNodeGone, returnNode, withOperatorWord } from "./node-gone.ts";

const MINUTE = 60_000;

/** Returns a world with one machine and a job of alice that has all of it. */
async function running(): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(10_000);
  return world;
}

async function refreshed(world: MemoryWorld): Promise<void> {
  await refreshCapacity(world.ctx);
  await world.advance(2 * MINUTE);
}

const getPhase = async (world: MemoryWorld, id: string) => (await world.read("alice", id)).phase;
const listed = async (world: MemoryWorld) => (await listNodes(world.ctx))[0];

describe("a withdrawn declaration", () => {
  test("costs nothing before it was acted on: the job goes on", async () => {
    const world = await running();

    await declareNodeGone(world.as("admin"), "h100-1");
    await returnNode(world.as("admin"), "h100-1");
    await refreshed(world);

    expect(await getPhase(world, "one")).toBe("active");
    expect(await listed(world)).toMatchObject({ state: "ready", goneUntil: null, unitsInUse: 8 });
  });

  test("leaves lost runs lost, and returns their units once, when they are free", async () => {
    const world = await running();
    await declareNodeGone(world.as("admin"), "h100-1");
    await world.advance(1_000);
    await returnNode(world.as("admin"), "h100-1");
    for (const id of ["two", "three"]) await createEnvironment(world.as("alice"), newEnvironment(id));

    await refreshed(world);
    await refreshed(world);

    const phases = await Promise.all(["one", "two", "three"].map((id) => getPhase(world, id)));
    expect(phases[0]).toBe("failed");
    expect(phases.slice(1).toSorted()).toEqual(["active", "queued"]);
    expect(await listed(world)).toMatchObject({ state: "ready", unitsInUse: 8 });
    expect(world.compute.peakUnits("h100-1")).toBe(8);
  });

  test("applies at once to reconciles and the provider's answer, and to grants from the next listing on", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    const getMachine = withOperatorWord(world.ctx, async () => "running");
    const machine = await declareNodeGone(world.as("admin"), "h100-1");
    const until = world.clock.now() + 24 * 60 * MINUTE;
    expect(await listed(world)).toMatchObject({ state: "gone", goneUntil: until });

    expect(await returnNode(world.as("admin"), "h100-1")).toMatchObject({ name: machine.name, uid: machine.uid });

    expect(await getMachine(machine)).toBe("running");
    expect(await listed(world)).toMatchObject({ state: "gone", goneUntil: null });
    await refreshCapacity(world.ctx);
    expect(await listed(world)).toMatchObject({ state: "ready", goneUntil: null });
  });

  test("may be repeated, and is allowed without a declaration", async () => {
    const world = await running();

    await returnNode(world.as("admin"), "h100-1");
    await declareNodeGone(world.as("admin"), "h100-1");
    await returnNode(world.as("admin"), "h100-1");
    await returnNode(world.as("admin"), "h100-1");
    await refreshed(world);

    expect(await getPhase(world, "one")).toBe("active");
  });

  test("is completed by the next call if the first one died half way", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    await declareNodeGone(world.as("admin"), "h100-1");
    const { put } = world.ctx.table;
    const dies: typeof put = async (item, options) => {
      if (!item.pk.startsWith("node-gone#")) throw new Error("died");
      return put(item, options);
    };
    const dying = { ...world.as("admin"), table: { ...world.ctx.table, put: dies } };
    await expect(returnNode(dying, "h100-1")).rejects.toThrow();

    await returnNode(world.as("admin"), "h100-1");
    await refreshCapacity(world.ctx);

    expect(await listed(world)).toMatchObject({ state: "ready", goneUntil: null });
  });

  test("can be followed by a new declaration for the same machine", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    await declareNodeGone(world.as("admin"), "h100-1");
    await returnNode(world.as("admin"), "h100-1");
    await refreshCapacity(world.ctx);

    await declareNodeGone(world.as("admin"), "h100-1");
    await refreshCapacity(world.ctx);

    expect(await listed(world)).toMatchObject({ state: "gone", goneUntil: expect.any(Number) });
  });

  test("requires a machine that a pool has", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });

    await expect(returnNode(world.as("admin"), "h100-9")).rejects.toThrow("Node 'h100-9' not found");
  });
});
