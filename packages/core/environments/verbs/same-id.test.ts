import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import type { UserContext } from "../../context.ts";
import { planPools } from "../../pools/plan/planner.ts";
import { Conflict } from "../../problem.ts";
import { environmentKey, keyText, poolKey } from "../../store/keys.ts";
import { parseEnvironment } from "../record/parse.ts";
import { reservation } from "../record/policy.ts";
import { createEnvironment } from "./create.ts";
import { requestDelete } from "./delete.ts";

const policy = { ...reservation, time: "none", restarts: true } as const;
const session = { ...newEnvironment("s-1", { env: { TOKEN: "s3cret" } }), policy };
const key = (ctx: UserContext) => environmentKey(ctx.actor.uid, ctx.dialect, "s-1");

/** A session of alice's with a client's id. It has a grant that it has not taken yet. */
async function grantedWorld() {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const alice = { ...world.as("alice"), dialect: "session-manager", noun: "session" };
  const first = await createEnvironment(alice, session);
  const deaf = { ...world.ctx, queue: { ...world.queue, send: async () => {} } };
  for (const { id } of world.queue.receive("pools", 10)) world.queue.acknowledge("pools", id);
  await planPools(deaf, [{ look: keyText(poolKey("h100")), for: [keyText(first)] }]);
  expect(await entries(world)).toEqual([[first.uid], []]);
  return { world, alice, first };
}

async function entries({ ctx }: MemoryWorld): Promise<readonly string[][]> {
  const pool = await viewPool(ctx, "h100");
  return [pool?.granted ?? [], pool?.held ?? []].map((list) => list.map(({ uid }) => uid));
}

async function present({ table }: MemoryWorld, ctx: UserContext) {
  const item = await table.get(key(ctx));
  if (!item) throw new Error("There is no such session");
  return parseEnvironment(item);
}

test("a second create is refused while the first environment of the id has an open grant, and leaves nothing", async () => {
  const { world, alice, first } = await grantedWorld();
  const before = world.table.all();

  await expect(createEnvironment(alice, session)).rejects.toThrow(Conflict);

  expect(world.table.all()).toEqual(before);
  await world.advance(120_000);
  expect(await present(world, alice)).toMatchObject({ uid: first.uid, phase: "active", run: { n: 1 } });
  expect(await entries(world)).toEqual([[], [first.uid]]);
});

test("a repeated create finds its own environment, which takes its grant once", async () => {
  const { world, alice, first } = await grantedWorld();

  const again = await createEnvironment(alice, { ...session, uid: first.uid, isRepeat: true });
  await world.advance(120_000);

  expect(again.uid).toBe(first.uid);
  expect(await entries(world)).toEqual([[], [first.uid]]);
  expect(world.compute.peakUnits("h100-1")).toBe(8);
});

test("a new environment with a deleted id does not take the old one's grant, although key and run are the same", async () => {
  const { world, alice, first } = await grantedWorld();
  await requestDelete(alice, "s-1");
  const [message] = world.queue
    .receive("work", 10)
    .filter(({ look: { look: recordKey } }) => recordKey === keyText(first));
  if (!message) throw new Error("Nobody was told of the delete");
  const { reconcile } = await import("../../reconciler/reconcile.ts");
  const deaf = { ...world.ctx, queue: { ...world.queue, send: async () => {} } };
  for (let passes = 0; passes < 5; passes++) await reconcile(deaf, message.look);
  expect((await present(world, alice)).phase).toBe("deleted");

  const second = await createEnvironment(alice, session);
  const named = (await viewPool(world.ctx, "h100"))?.granted.flatMap(({ items }) => items) ?? [];
  await reconcile(deaf, { look: keyText(second), for: named });
  const early = await present(world, alice);
  await world.advance(120_000);

  expect(named).toHaveLength(1);
  expect([early.uid, early.phase, early.run.n]).toEqual([second.uid, "queued", first.run.n]);
  expect(await present(world, alice)).toMatchObject({ uid: second.uid, phase: "active" });
  expect(await entries(world)).toEqual([[], [second.uid]]);
});
