import { expect, test } from "vitest";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import type { ReconcileRequest } from "../../ports/queue.ts";
import { reconcile } from "../../reconciler/reconcile.ts";
import { environmentKey, keyText } from "../../store/keys.ts";
import { toKey } from "../record/record.ts";
import { createEnvironment } from "../verbs/create.ts";

const SECOND = 1_000;
const HOUR = 3_600_000;

/** Returns the costs of one job from its submit to ten minutes after its end, with the sweep's messages and hints. */
async function costsOfLife(hours: number, command: string | undefined) {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const costs = { headWrites: 0, sends: 0 };
  const { put } = world.ctx.table;
  const { send } = world.ctx.queue;
  const alice = world.as("alice");
  const key = environmentKey(alice.actor.uid, "gpu-dev", "one");
  Object.assign(world.ctx.table, {
    put: async (...call: Parameters<typeof put>) => {
      if (keyText(call[0]) === keyText(key)) costs.headWrites += 1;
      return put(...call);
    },
  });
  Object.assign(world.ctx.queue, {
    send: async (...call: Parameters<typeof send>) => {
      if (concerns(call[1], keyText(key))) costs.sends += 1;
      return send(...call);
    },
  });
  const { uid } = await createEnvironment(alice, newEnvironment("one", { hours, ...(command && { command }) }));
  for (let minute = 0; minute < hours * 60 + 12; minute += 1) {
    await world.advance(60 * SECOND);
    if (command) world.compute.print(uid, 1, `minute ${minute}\n`);
  }
  return { ...costs, phase: (await world.read("alice", "one")).phase };
}

function concerns(message: ReconcileRequest, key: string): boolean {
  return message.look === key || message.for?.includes(key) === true;
}

test.each([
  [1, undefined, 30, 40],
  [1, "train", 30, 40],
  [8, undefined, 130, 160],
  [8, "train", 130, 160],
])(
  "a life of %i h with the command %s costs a bounded number of writes and messages",
  async (hours, command, writes, sends) => {
    const costs = await costsOfLife(hours, command);

    expect(costs.phase).toBe("expired");
    expect(costs.headWrites).toBeGreaterThan(5);
    expect(costs.headWrites).toBeLessThanOrEqual(writes);
    expect(costs.sends).toBeLessThanOrEqual(sends);
  },
);

test("an hour in which a job waits and nothing happens costs no read of a ledger item by that job", async () => {
  const world = await memoryWorld({ nodes: [] });
  const waiting = await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(10 * SECOND);
  const reads: string[] = [];
  const { get, getMany, query } = world.ctx.table;
  Object.assign(world.ctx.table, {
    get: async (...call: Parameters<typeof get>) => {
      reads.push(call[0].pk);
      return get(...call);
    },
    getMany: async (...call: Parameters<typeof getMany>) => {
      reads.push(...call[0].map(({ pk }) => pk));
      return getMany(...call);
    },
    query: async (...call: Parameters<typeof query>) => {
      if ("pk" in call[0]) reads.push(call[0].pk);
      return query(...call);
    },
  });

  for (let n = 0; n < 60; n += 1) {
    world.clock.advance(60 * SECOND);
    await reconcile(world.ctx, { look: keyText(toKey(waiting)) });
  }

  expect(reads).toContain(waiting.pk);
  expect(reads.filter((pk) => pk.startsWith("pool#h100#"))).toEqual([]);
});

test("a hint without news costs one read of the record, no write and no message", async () => {
  const world = await memoryWorld();
  const { pk, sk } = await createEnvironment(world.as("alice"), newEnvironment("one", { command: "train" }));
  await world.advance(10 * SECOND);
  const before = await world.read("alice", "one");
  const sent = world.queue.sent();

  for (let n = 0; n < 1_000; n += 1) await reconcile(world.ctx, { look: `${pk}|${sk}`, hint: true });

  expect(await world.read("alice", "one")).toEqual(before);
  expect(world.queue.sent()).toBe(sent);
});

test("a hint shows the end of a command minutes before the next reconcile", async () => {
  const world = await memoryWorld();
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one", { command: "train" }));
  world.compute.program(environment.uid, { kind: "exits", code: 0, afterMs: 61_000 });
  await world.advance(61 * SECOND);

  const ended = await world.read("alice", "one");

  expect(ended.phase).toBe("completed");
  expect(ended.run.grant).toBeNull();
});

test("the end of a command is seen within five minutes without a hint", async () => {
  const world = await memoryWorld({ signals: false });
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one", { command: "train" }));
  world.compute.program(environment.uid, { kind: "exits", code: 0, afterMs: 61_000 });
  await world.advance(61 * SECOND);
  const meanwhile = await world.read("alice", "one");
  await world.advance(5 * 60 * SECOND);

  expect(meanwhile.phase).toBe("active");
  expect((await world.read("alice", "one")).phase).toBe("completed");
});

test.each([
  ["an environment that never existed", { pk: "owner#nobody#env", sk: "gpu-dev|none" }],
  ["a waiting environment", undefined],
])("a signal for %s changes nothing", async (_, none) => {
  const world = await memoryWorld({ nodes: [] });
  const waiting = await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(10 * SECOND);
  const before = world.table.all();
  const sent = world.queue.sent();
  const { pk, sk } = none ?? toKey(waiting);

  await reconcile(world.ctx, { look: `${pk}|${sk}`, hint: true });

  expect(world.table.all()).toEqual(before);
  expect(world.queue.sent()).toBe(sent);
});

test("a repeated hint after the end of its environment has no effect", async () => {
  const world = await memoryWorld();
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one", { hours: 1 }));
  await world.advance(HOUR + 15 * 60 * SECOND);
  const before = await world.read("alice", "one");

  await reconcile(world.ctx, { look: keyText(toKey(environment)), hint: true });

  expect(before.phase).toBe("expired");
  expect(await world.read("alice", "one")).toEqual(before);
});
