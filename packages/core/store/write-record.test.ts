import { describe, expect, test } from "vitest";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { postMessage } from "../chat/post.ts";
import type { Context } from "../context.ts";
import { createDisk } from "../disks/create.ts";
import { renameDisk } from "../disks/names/rename.ts";
import { listDisks } from "../disks/view.ts";
import { reservation } from "../environments/record/policy.ts";
import { requestExtension } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import { requestStart } from "../environments/verbs/start.ts";
import { requestStop } from "../environments/verbs/stop.ts";
import type { Item, Table } from "../ports/table.ts";
import { Conflict, Problem } from "../problem.ts";
import { issueKey, rotateKey } from "../users/issue.ts";
import { isLive } from "../users/keys.ts";
import { findApiKey, findUser } from "../users/record.ts";
import { findOrCreateUser } from "../users/register.ts";
import { chatPartition } from "./keys.ts";
import { changeRecord, removeRecord, writeRecord, writeRecords } from "./write-record.ts";

const HOUR = 3_600_000;
const key = { pk: "p", sk: "-" };

/** Returns a table whose client repeats every put and remove, as an SDK does after a lost response. */
function repeating(table: Table): Table {
  return {
    ...table,
    async put(item, options) {
      await table.put(item, options);
      if (options?.ifWriter !== undefined) await table.put(item, options);
    },
    async putAll(puts) {
      await table.putAll(puts);
      await table.putAll(puts);
    },
    async remove(removed, options) {
      await table.remove(removed, options);
      await table.remove(removed, options);
    },
  };
}

async function repeatingWorld() {
  const world = await memoryWorld();
  const as = (name: string) => ({ ...world.as(name), table: repeating(world.table) });
  return { world, as };
}

describe("a write whose response was lost", () => {
  test("is a success although its repeat conflicts", async () => {
    const { world, as } = await repeatingWorld();
    const ctx = as("alice");

    const first = await writeRecord(ctx, { ...key, writers: [], n: 1 });
    const second = first && (await writeRecord(ctx, { ...first, n: 2 }));

    expect(second).toMatchObject({ n: 2 });
    expect(await world.table.get(key)).toEqual(second);
  });

  test("is a success for several records at once, also if one was written again before the repeat", async () => {
    const { world, as } = await repeatingWorld();
    const [first, second] = [
      { ...key, writers: [], n: 1 },
      { ...key, sk: "other", writers: [], n: 1 },
    ];
    const table: Table = {
      ...world.table,
      async putAll(puts) {
        await world.table.putAll(puts);
        await writeRecord(world.ctx, { ...first, ...(await world.table.get(first)), n: 3 });
        await world.table.putAll(puts);
      },
    };

    const results = [
      await writeRecords(as("alice"), [first, second]),
      await writeRecords({ ...world.ctx, table }, [
        { ...first, writers: (await world.table.get(first))?.writers ?? [], n: 2 } as never,
        { ...second, writers: (await world.table.get(second))?.writers ?? [], n: 2 } as never,
      ]),
      await writeRecords(world.ctx, [first, { ...second, sk: "third" }]),
    ];

    expect(results).toEqual([true, true, false]);
    expect(await world.table.get(first)).toMatchObject({ n: 3 });
    expect(await world.table.get(second)).toMatchObject({ n: 2 });
    expect(await world.table.get({ ...key, sk: "third" })).toBeUndefined();
  });

  test("is a success although others wrote before the repeat", async () => {
    const { world } = await repeatingWorld();
    const { ids } = world.ctx;
    let others = 7;
    const table: Table = {
      ...world.table,
      async put(item, options) {
        await world.table.put(item, options);
        for (; others > 0; others--) {
          const present = await world.table.get(item);
          if (present) await writeRecord({ table: world.table, ids }, { ...present, n: 100 - others });
        }
        await world.table.put(item, options);
      },
    };

    const written = await writeRecord({ table, ids }, { ...key, writers: [], n: 1 });

    expect(written).toMatchObject({ n: 1 });
    expect(await world.table.get(key)).toMatchObject({ n: 99 });
  });

  test("is no success if another writer was faster", async () => {
    const { world } = await repeatingWorld();
    const result = await writeRecord(world.ctx, { ...key, writers: [], n: 1 });
    if (!result) throw new Error("not written");
    await writeRecord(world.ctx, { ...result, n: 2 });

    expect(await writeRecord(world.ctx, { ...result, n: 3 })).toBeUndefined();
    expect(await world.table.get(key)).toMatchObject({ n: 2 });
  });

  test("extends once", async () => {
    const { world, as } = await repeatingWorld();
    await createEnvironment(as("alice"), newEnvironment("one"));

    const action = await requestExtension(as("alice"), "one", HOUR);

    const {
      size,
      requests: { list: actions },
    } = await world.read("alice", "one");
    expect(size.wantedMs).toBe(2 * HOUR);
    expect(actions.map(({ id }) => id)).toEqual([action.id]);
  });

  test("posts a chat message once", async () => {
    const { world, as } = await repeatingWorld();
    const policy = { ...reservation, restarts: true } as const;
    const ports = [{ port: 8080, kind: "http" } as const];
    const { uid } = await createEnvironment(as("alice"), { ...newEnvironment("talks"), policy, ports });

    const posted = await postMessage(as("alice"), "talks", "hello");

    const { items } = await world.table.query({ pk: chatPartition(uid) });
    expect(posted.n).toBe(1);
    expect(items.map(({ n }) => n)).toEqual([1]);
  });

  test("renames a disk and answers with the new name", async () => {
    const { world, as } = await repeatingWorld();
    await createDisk(as("alice"), { name: "data", sizeGb: 10 });
    await world.advance(2_000);

    await renameDisk(as("alice"), "data", "other");

    expect((await listDisks(as("alice"))).map(({ name }) => name)).toEqual(["other"]);
  });

  test("rotates a key into one that works", async () => {
    const { world, as } = await repeatingWorld();
    const ctx = as("alice");
    const user = await findOrCreateUser(ctx, { account: "000000000000", role: "r", session: "alice" });
    const old = await issueKey(ctx, user, "r");
    const actor = { ...ctx.actor, uid: user.uid, keyHash: old.hash };

    const { key: next } = await rotateKey({ ...ctx, actor });

    const found = await findApiKey(ctx, next.hash);
    expect(found && isLive(found, world.clock.now())).toBe(true);
    expect((await findUser(ctx, user.uid))?.keys.map(({ hash }) => hash)).toEqual([old.hash, next.hash]);
  });

  test("starts a stopped environment once", async () => {
    const { world, as } = await repeatingWorld();
    const policy = { ...reservation, restarts: true } as const;
    await createEnvironment(as("alice"), { ...newEnvironment("one"), policy });
    await world.advance(10_000);
    await requestStop(as("alice"), "one");
    await world.advance(60_000);

    await requestStart(as("alice"), "one");

    expect(await world.read("alice", "one")).toMatchObject({ run: { n: 2 }, starts: 1 });
  });
});

describe("removing a record", () => {
  test("succeeds if it is already gone", async () => {
    const { as } = await repeatingWorld();
    const written = await writeRecord(as("alice"), { ...key, writers: [], uid: "a" });
    if (!written) throw new Error("not written");

    expect(await removeRecord(as("alice"), written)).toBe(true);
    expect(await removeRecord(as("alice"), written)).toBe(true);
  });

  test("succeeds if another life uses its key, and keeps that record", async () => {
    const { world } = await repeatingWorld();
    const entry = await writeRecord(world.ctx, { ...key, writers: [], uid: "one" });
    if (!entry) throw new Error("not written");
    await writeRecord(world.ctx, { ...entry, uid: "two" });

    expect(await removeRecord(world.ctx, entry)).toBe(true);
    expect(await world.table.get(key)).toMatchObject({ uid: "two" });
  });

  test("is refused if it was changed meanwhile", async () => {
    const { world } = await repeatingWorld();
    const entry = await writeRecord(world.ctx, { ...key, writers: [], uid: "one", n: 1 });
    if (!entry) throw new Error("not written");
    await writeRecord(world.ctx, { ...entry, n: 2 });

    expect(await removeRecord(world.ctx, entry)).toBe(false);
    expect(await world.table.get(key)).toMatchObject({ n: 2 });
  });
});

describe("changing a record", () => {
  const counting = (ctx: Context<"table">, decide: (item: Item | undefined) => Item | undefined) =>
    changeRecord(ctx, { read: () => ctx.table.get(key), decide, what: "The counter is" });

  test("reads and decides again after a conflict", async () => {
    const { world } = await repeatingWorld();
    await writeRecord(world.ctx, { ...key, writers: [], n: 0 } as Item);
    let raced = false;

    const { record } = await counting(world.ctx, (item) => {
      if (!raced && item) void world.table.put({ ...item, writers: ["other"], n: 10 } as Item);
      raced = true;
      return item && { ...item, n: Number(item.n) + 1 };
    });

    expect(record).toMatchObject({ n: 11 });
  });

  test("reads again if the decision throws a conflict", async () => {
    const { world } = await repeatingWorld();
    let input = 0;

    const { record } = await counting(world.ctx, () => {
      input += 1;
      if (input < 3) throw new Conflict("another record");
      return { ...key, writers: [], n: input };
    });

    expect(record).toMatchObject({ n: 3 });
  });

  test("keeps unknown fields", async () => {
    const { world } = await repeatingWorld();
    await writeRecord(world.ctx, { ...key, writers: [], n: 0, later: { x: 1 } } as Item);

    await counting(world.ctx, (item) => item && { ...item, n: 1 });

    expect(await world.table.get(key)).toMatchObject({ n: 1, later: { x: 1 } });
  });

  test("fails with a retryable error when others are always faster", async () => {
    const { world } = await repeatingWorld();
    let n = 0;
    const put: Table["put"] = async (item, options) => {
      await world.table.put({ ...key, writers: [`other-${n++}`] });
      await world.table.put(item, options);
    };

    const changed = counting({ ...world.ctx, table: { ...world.table, put } }, () => ({ ...key, writers: ["seen"] }));

    await expect(changed).rejects.toThrow(Problem);
    await expect(changed).rejects.toThrow("The counter is changing too fast, try again");
  });

  test("keeps the newest eight writers", async () => {
    const { world } = await repeatingWorld();

    for (let n = 0; n < 12; n++) await counting(world.ctx, (item) => ({ ...key, writers: item?.writers ?? [], n }));

    expect((await world.table.get(key))?.writers).toHaveLength(8);
  });
});
