import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import type { Item, Table } from "../../ports/table.ts";
import { specKey } from "../../store/keys.ts";
import { createEnvironment } from "../verbs/create.ts";
import { requestDelete } from "../verbs/delete.ts";
import { requestStart } from "../verbs/start.ts";
import { requestStop } from "../verbs/stop.ts";
import { reservation } from "./policy.ts";
import { forgetSecrets } from "./spec.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const restartable = { ...reservation, time: "none", restarts: true } as const;
const secret = { env: { TOKEN: "s3cret" } };

async function stoppedWorld() {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const alice = world.as("alice");
  const { uid } = await createEnvironment(alice, { ...newEnvironment("one"), ...secret, policy: restartable });
  await world.advance(MINUTE);
  await requestStop(alice, "one");
  await world.advance(MINUTE);
  return { world, alice, uid };
}

function specsIn({ table }: MemoryWorld): string[] {
  return table.all().flatMap(({ kind, sk }) => (kind === "spec" ? [sk] : []));
}

/** Wraps a table that runs `work` before it writes an item of this kind. */
function beforePut(table: Table, kind: string, work: () => Promise<void>): Table {
  return {
    ...table,
    async put(item, options) {
      if ((item as Item).kind === kind) await work();
      await table.put(item, options);
    },
  };
}

async function die(): Promise<void> {
  throw new Error("killed");
}

/** No other event occurs in this time. */
async function later(world: MemoryWorld, hours: number): Promise<void> {
  world.clock.advance(hours * HOUR - 2 * MINUTE);
  await world.advance(2 * MINUTE);
}

test("the specification of a create that died before its head is removed once the create cannot be repeated", async () => {
  const world = await memoryWorld();
  const dying = { ...world.as("alice"), table: beforePut(world.table, "environment", die) };

  await expect(createEnvironment(dying, { ...newEnvironment("one"), ...secret })).rejects.toThrow("killed");
  await later(world, 24);
  const repeatable = specsIn(world).length;
  await later(world, 2);

  expect(repeatable).toBe(1);
  expect(specsIn(world)).toEqual([]);
});

test("the specification of a start that died before its head is removed, and the one in use stays", async () => {
  const { world, alice, uid } = await stoppedWorld();
  const dying = { ...alice, table: beforePut(world.table, "environment", die) };

  await expect(requestStart(dying, "one", { env: { TOKEN: "other" } })).rejects.toThrow("killed");
  const before = specsIn(world).length;
  await later(world, 26);

  expect(before).toBe(2);
  expect(specsIn(world)).toEqual([uid]);
  expect((await world.table.get(specKey(await world.read("alice", "one"), uid)))?.dueAt).toBeUndefined();
});

test("a start that was paused during the deletion leaves nothing", async () => {
  const { world, alice } = await stoppedWorld();
  const table = beforePut(world.table, "spec", async () => {
    await requestDelete(alice, "one");
    await world.advance(30 * MINUTE);
  });

  await expect(requestStart({ ...alice, table }, "one", { env: { TOKEN: "other" } })).rejects.toThrow("not found");

  expect(specsIn(world)).toEqual([]);
});

test("a start that was paused during the deletion and died after its write leaves nothing permanently", async () => {
  const { world, alice } = await stoppedWorld();
  const table = beforePut(beforePut(world.table, "environment", die), "spec", async () => {
    await requestDelete(alice, "one");
    await world.advance(30 * MINUTE);
    await createEnvironment(alice, { ...newEnvironment("one"), ...secret, policy: restartable });
  });

  await expect(requestStart({ ...alice, table }, "one", { env: { TOKEN: "other" } })).rejects.toThrow("killed");
  const before = specsIn(world).length;
  await later(world, 26);

  expect(before).toBe(2);
  expect(specsIn(world)).toEqual([(await world.read("alice", "one")).uid]);
});

test("a specification stays while the head that may name it is unreadable", async () => {
  const { world, uid } = await stoppedWorld();
  const head = await world.read("alice", "one");
  await world.table.put({ ...head, phase: "hibernating" } as never);

  await later(world, 26);
  await later(world, 26);
  expect(specsIn(world)).toEqual([uid]);

  await world.table.put({ ...head, writers: ["hand"] });
  await later(world, 2);
  expect((await world.table.get(specKey(head, uid)))?.dueAt).toBeUndefined();
});

test.each(["", "no key", "owner#1|one", 7, undefined])(
  "a specification with the head name '%s' stays",
  async (head) => {
    const { world, uid } = await stoppedWorld();
    const spec = await world.table.get(specKey(await world.read("alice", "one"), uid));

    await world.table.put({ ...spec, head, dueAt: world.clock.now() } as never);
    await world.advance(2 * HOUR);

    expect(specsIn(world)).toEqual([uid]);
  },
);

test("secrets that are written again during their removal do not count as removed", async () => {
  const { world, alice, uid } = await stoppedWorld();
  const head = await world.read("alice", "one");
  const remove: Table["remove"] = async (key, options) => {
    const item = await world.table.get(key);
    if (item) await world.table.put({ ...item, writers: ["other"] });
    await world.table.remove(key, options);
  };

  const forgotten = forgetSecrets({ ...alice, table: { ...world.table, remove } }, head);

  await expect(forgotten).rejects.toThrow("Changed by another writer");
  expect(specsIn(world)).toEqual([uid]);
});

test("the late specification of a paused create is removed at once", async () => {
  const world = await memoryWorld();
  const alice = world.as("alice");
  const wanted = { ...newEnvironment("one"), ...secret, uid: world.ctx.ids.uid() };
  const slept = { ...alice, table: beforePut(world.table, "spec", untilOver) };
  async function untilOver(): Promise<void> {
    await createEnvironment(alice, wanted);
    await world.advance(MINUTE);
    await requestDelete(alice, "one");
    await world.advance(20 * MINUTE);
  }

  await createEnvironment(slept, wanted).catch(() => undefined);

  expect(specsIn(world)).toEqual([]);
});
