import { expect, test } from "vitest";
import { memoryWorld } from "#testing/memory-world.ts";
import type { Table } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { audited, listAudit } from "./audit.ts";

const deed = { action: "drain_pool", target: "h100", requestId: "req-1" } as const;
const DAY = 86_400_000;

test("an action is on record before it is done, and its result after", async () => {
  const world = await memoryWorld();
  const during: unknown[] = [];

  await audited(world.as("op"), deed, async () => during.push(...(await listAudit(world.ctx, 10))));

  const who = { operator: "op", keyPrefix: "testtest", action: "drain_pool", target: "h100", requestId: "req-1" };
  expect(during).toMatchObject([{ ...who, result: "started", at: world.clock.now() }]);
  expect(await listAudit(world.ctx, 10)).toMatchObject([{ ...who, result: "done", reason: null }]);
});

test("nothing is done that could not be put on record", async () => {
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

test("a failure is on record with what may be shown of it, and is thrown on", async () => {
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

test("what was done stays done when its result cannot be noted, and the record says started", async () => {
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

test("the list goes back over months, newest first, as far as it is asked to and not beyond 13 months", async () => {
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
