import { expect, test } from "vitest";
import { recordingLog } from "#testing/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, nodesOf } from "#testing/memory-world.ts";
import { createEnvironment } from "./environments/create.ts";
import { environmentKey } from "./keys.ts";
import { findPool } from "./pools/record.ts";

const MINUTE = 60_000;

/** Overwrites fields of somebody's record, as a newer version, a half-done copy or a hand would. */
async function edit(world: MemoryWorld, owner: string, id: string, fields: Record<string, unknown>): Promise<void> {
  const item = await world.table.get(environmentKey(world.as(owner).actor.uid, "gpu-dev", id));
  if (!item) throw new Error(`No record ${id}`);
  await world.table.put({ ...item, ...fields });
}

async function oneNode(options: Parameters<typeof memoryWorld>[0] = {}): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: nodesOf({ h100: 1 }), ...options });
  await createEnvironment(world.as("alice"), newEnvironment("one", { hours: 3 }));
  await world.advance(MINUTE);
  return world;
}

test("a job whose record cannot be read keeps its GPUs: nobody else is started on them", async () => {
  const world = await oneNode();
  await edit(world, "alice", "one", { phase: "hibernating" });
  await createEnvironment(world.as("bob"), newEnvironment("two"));

  await world.advance(10 * MINUTE);

  const pool = await findPool(world.ctx, "h100");
  expect((await world.read("bob", "two")).phase).toBe("queued");
  expect(pool?.held.map(({ key }) => key.split("|")[1])).toEqual(["one"]);
});

test("a grant whose record cannot be read is kept until it can be", async () => {
  const world = await memoryWorld({ nodes: nodesOf({ h100: 1 }) });
  const deaf = { ...world.ctx, queue: { ...world.queue, send: async () => {} } };
  const one = await createEnvironment(world.as("alice"), newEnvironment("one"));
  const { reconcilePools } = await import("./pools/planner.ts");
  await reconcilePools(deaf, [{ look: "pool#h100|-", for: [`${one.pk}|${one.sk}`] }]);
  for (const message of world.queue.receive("pools", 10)) world.queue.acknowledge("pools", message.id);
  await edit(world, "alice", "one", { phase: "hibernating" });

  await world.advance(10 * MINUTE);
  expect((await findPool(world.ctx, "h100"))?.granted.map(({ uid }) => uid)).toEqual([one.uid]);

  await edit(world, "alice", "one", { phase: "queued", dueAt: world.clock.now() });
  await world.advance(3 * MINUTE);
  expect((await world.read("alice", "one")).phase).toBe("active");
});

test("units that an unreadable record holds are counted in the pool, and an alarm after ten minutes", async () => {
  const log = recordingLog();
  const world = await oneNode({ log });
  await edit(world, "alice", "one", { phase: "hibernating" });
  const alarms = () => log.lines.filter(({ level, event }) => level === "error" && event === "capacity not readable");

  await world.advance(5 * MINUTE);
  expect((await findPool(world.ctx, "h100"))?.summary.unreadable).toBe(8);
  expect(alarms()).toEqual([]);

  await world.advance(10 * MINUTE);
  expect(alarms().at(-1)?.fields).toMatchObject({ pool: "h100", units: 8 });

  await edit(world, "alice", "one", { phase: "active" });
  await world.advance(2 * MINUTE);
  expect((await findPool(world.ctx, "h100"))?.summary.unreadable).toBe(0);
});

test("waiting jobs whose records cannot be read keep no others from starting", async () => {
  const world = await memoryWorld({ nodes: [] });
  for (let n = 0; n < 20; n++) {
    await createEnvironment(world.as("alice"), newEnvironment(`broken-${n}`));
    await edit(world, "alice", `broken-${n}`, { phase: "hibernating" });
  }
  await createEnvironment(world.as("bob"), newEnvironment("whole"));
  await world.advance(MINUTE);
  for (const node of nodesOf({ h100: 1 })) world.compute.setNode(node);

  await world.advance(10 * MINUTE);

  expect((await world.read("bob", "whole")).phase).toBe("active");
});
