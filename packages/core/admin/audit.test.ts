import { expect, test } from "vitest";
import { memoryWorld } from "#tests/worlds/memory-world.ts";
import type { Table } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { audited, type Deed, listAudit, operatorActions } from "./audit.ts";

const deed = { action: "drain_pool", target: "h100", requestId: "req-1" } as const;
const DAY = 86_400_000;

test("records an action before it runs, and its result afterwards", async () => {
  const world = await memoryWorld();
  const during: unknown[] = [];

  await audited(world.as("op"), deed, async () => during.push(...(await listAudit(world.ctx, 10))));

  const who = { operator: "op", keyPrefix: "testtest", action: "drain_pool", target: "h100", requestId: "req-1" };
  expect(during).toMatchObject([{ ...who, result: "started", at: world.clock.now() }]);
  expect(await listAudit(world.ctx, 10)).toMatchObject([{ ...who, result: "done", reason: null }]);
});

test("does nothing that could not be recorded", async () => {
  const world = await memoryWorld();
  const broken: Table = {
    ...world.table,
    put: async () => {
      throw new Error("table down");
    },
  };
  let done = false;

  const deeds = audited({ ...world.as("op"), table: broken }, deed, async () => {
    done = true;
  });

  await expect(deeds).rejects.toThrow("table down");
  expect(done).toBe(false);
});

test("records a failure with a text that may be shown, and rethrows it", async () => {
  const world = await memoryWorld();
  const refuse = (error: Error) =>
    audited(world.as("op"), deed, async () => {
      throw error;
    });

  await expect(refuse(new Problem("notFound", "No such pool"))).rejects.toThrow("No such pool");
  world.clock.advance(1000);
  await expect(refuse(new Error("secret at 10.0.0.1"))).rejects.toThrow("secret");

  expect(await listAudit(world.ctx, 10)).toMatchObject([
    { result: "failed", reason: "Internal failure" },
    { result: "failed", reason: "No such pool" },
  ]);
});

test("keeps the result of an action whose completion could not be recorded as started", async () => {
  const world = await memoryWorld();
  const once: Table = {
    ...world.table,
    put: async (item, options) => {
      if (options?.ifWriter !== null) throw new Error("table down");
      return world.table.put(item, options);
    },
  };

  const result = await audited({ ...world.as("op"), table: once }, deed, async () => "drained");

  expect(result).toBe("drained");
  expect(await listAudit(world.ctx, 10)).toMatchObject([{ result: "started" }]);
});

test("lists months back, newest first, up to the requested number and 13 months", async () => {
  const world = await memoryWorld();
  for (let n = 0; n < 16; n++) {
    world.clock.advance(31 * DAY);
    await audited(world.as("op"), { ...deed, requestId: `req-${n}` }, async () => undefined);
  }

  const few = await listAudit(world.ctx, 3);
  const all = await listAudit(world.ctx, 1000);

  expect(few.map(({ requestId }) => requestId)).toEqual(["req-15", "req-14", "req-13"]);
  expect(all.at(-1)?.at).toBeGreaterThan(world.clock.now() - 13 * 31 * DAY);
  expect(all.length).toBeGreaterThanOrEqual(12);
});

const content = { action: "show_state", target: null, requestId: "req-1" } as const;
const MINUTE = 60_000;
/** 20 January 2026, 00:00 UTC, the start of a window of ten minutes. */
const midnight = 1_768_867_200_000;

const poll = (ctx: ReturnType<Awaited<ReturnType<typeof memoryWorld>>["as"]>, deed: Deed = content) =>
  audited(ctx, deed, async () => undefined);

test("counts repeated reads of one kind by one operator in one entry per ten minutes", async () => {
  const world = await memoryWorld({ startAt: midnight });
  const op = world.as("op");
  for (let n = 0; n < 5; n++) {
    await poll(op, { ...content, requestId: `req-${n}` });
    world.clock.advance(MINUTE);
  }
  await poll(op, { ...content, action: "list_nodes" });

  const entries = await listAudit(world.ctx, 10);

  const first = { at: midnight, requestId: "req-0", operator: "op", result: "done" };
  expect(entries).toMatchObject([
    { action: "list_nodes", count: 1 },
    { action: "show_state", count: 5, ...first },
  ]);
});

test("counts a read in the last millisecond of ten minutes there, and begins a new entry with the next", async () => {
  const lastMs = 10 * MINUTE - 1;
  // The boundary is also the end of a month and of a year.
  for (const edge of [midnight + 10 * MINUTE, 1_769_904_000_000, 1_798_761_600_000]) {
    const world = await memoryWorld({ startAt: edge - 10 * MINUTE });
    await poll(world.as("op"));
    world.clock.advance(lastMs);
    await poll(world.as("op"));
    world.clock.advance(1);
    await poll(world.as("op"));

    expect(await listAudit(world.ctx, 10)).toMatchObject([
      { at: edge, count: 1 },
      { at: edge - 10 * MINUTE, count: 2 },
    ]);
  }
});

test("counts concurrent reads in one entry, each exactly once", async () => {
  const world = await memoryWorld({ startAt: midnight });
  const readers = 30;

  await Promise.all(Array.from({ length: readers }, () => poll(world.as("op"))));

  expect(await listAudit(world.ctx, 10)).toMatchObject([{ count: readers, result: "done" }]);
});

test("keeps separate entries for another operator, another key and another user's jobs", async () => {
  const world = await memoryWorld({ startAt: midnight });
  const op = world.as("op");
  const otherKey = { ...op, actor: { ...op.actor, keyPrefix: "otherkey" } };
  const jobs = { ...content, action: "list_jobs" } as const;
  for (const ctx of [op, world.as("second"), otherKey]) await poll(ctx);
  for (const target of ["ada", "bob", "ada"]) await poll(op, { ...jobs, target });

  const entries = await listAudit(world.ctx, 10);

  const counted = entries.map(({ operator, keyPrefix, target, count }) =>
    [operator, keyPrefix, target, count].join(" "),
  );
  expect(counted.sort()).toEqual([
    "op otherkey  1",
    "op testtest  1",
    "op testtest ada 2",
    "op testtest bob 1",
    "second testtest  1",
  ]);
});

test("never merges writes, however often and fast they are repeated", async () => {
  const world = await memoryWorld({ startAt: midnight });
  const writes = operatorActions.filter((action) => !/^(list|show)_/.test(action));
  for (const action of writes) {
    await Promise.all([1, 2, 3].map(() => audited(world.as("op"), { ...deed, action }, async () => undefined)));
  }

  const entries = await listAudit(world.ctx, 100);

  expect(entries).toHaveLength(writes.length * 3);
  expect(new Set(entries.map(({ sk }) => sk)).size).toBe(entries.length);
});

test("records the reason of a failed repeated read, and clears it when the next one succeeds", async () => {
  const world = await memoryWorld({ startAt: midnight });
  const fails = audited(world.as("op"), content, async () => {
    throw new Problem("unavailable", "Try again");
  });
  await expect(fails).rejects.toThrow("Try again");
  const failed = await listAudit(world.ctx, 10);
  await poll(world.as("op"));

  expect(failed).toMatchObject([{ count: 1, result: "failed", reason: "Try again" }]);
  expect(await listAudit(world.ctx, 10)).toMatchObject([{ count: 2, result: "done", reason: null }]);
});

test("answers no read that could not be counted", async () => {
  const world = await memoryWorld({ startAt: midnight });
  await poll(world.as("op"));
  const broken: Table = {
    ...world.table,
    put: async () => {
      throw new Error("table down");
    },
  };

  await expect(poll({ ...world.as("op"), table: broken })).rejects.toThrow("table down");
  expect(await listAudit(world.ctx, 10)).toMatchObject([{ count: 1 }]);
});

test("keeps entries in the order of their first call in every part of the list", async () => {
  const world = await memoryWorld({ startAt: midnight });
  const calls = 150;
  for (let n = 0; n < calls; n++) {
    const action = n % 3 === 0 ? "drain_pool" : "list_jobs";
    await poll(world.as("op"), { action, target: `t${n}`, requestId: `req-${n}` });
    world.clock.advance(5000);
  }

  const newest = Array.from({ length: calls }, (_, n) => `t${calls - 1 - n}`);

  for (const most of [1, 7, 30, 31, 40, 149, 1000]) {
    const entries = await listAudit(world.ctx, most);
    expect(entries.map(({ target }) => target)).toEqual(newest.slice(0, most));
  }
});

test("reads an entry of a version that did not count as one call", async () => {
  const world = await memoryWorld({ startAt: midnight });
  await poll(world.as("op"));
  const [item] = world.table.all().filter(({ kind }) => kind === "audit");
  if (!item) throw new Error("No entry");
  const { count: _, ...old } = item as typeof item & { count: unknown };
  await world.table.put(old);

  await poll(world.as("op"));

  expect(await listAudit(world.ctx, 10)).toMatchObject([{ count: 2 }]);
});
