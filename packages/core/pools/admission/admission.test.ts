import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import type { Environment } from "../../environments/record/record.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { ReconcileRequest } from "../../ports/queue.ts";
import type { Table } from "../../ports/table.ts";
import { Conflict } from "../../problem.ts";
import { keyText, poolKey } from "../../store/keys.ts";
import { refreshCapacity } from "../capacity/capacity.ts";
import { readAdvice } from "../forecast/advice.ts";
import { planPools } from "../plan/planner.ts";
import { reasonText } from "../plan/reasons.ts";
import { drainPool, pauseAdmission, readAdmission } from "./admission.ts";
import { readCapacity } from "./availability.ts";

const MINUTE = 60_000;

async function getPhase(world: MemoryWorld, owner: string, id: string): Promise<string> {
  return (await world.read(owner, id)).phase;
}

async function findPlacement(world: MemoryWorld, owner: string, id: string): Promise<string | undefined> {
  const environment = await world.read(owner, id);
  const place = (await readAdvice(world.ctx, [environment])).get(environment.uid)?.place;
  return place && reasonText(place, environment.size.pool);
}

async function findAvailable(world: MemoryWorld, pool: string): Promise<number | undefined> {
  return (await readCapacity(world.ctx)).pools.find((capacity) => capacity.pool === pool)?.available;
}

test("a drained type starts nothing, says so to waiting jobs, and shows nothing as available", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2, t4: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("runs"));
  await world.advance(MINUTE);

  await drainPool(world.ctx, "h100", true);
  const shownAtOnce = await findAvailable(world, "h100");
  await createEnvironment(world.as("bob"), newEnvironment("waits"));
  await createEnvironment(world.as("carol"), newEnvironment("elsewhere", { pool: "t4", gpus: 4 }));
  await world.advance(5 * MINUTE);

  expect(shownAtOnce).toBe(0);
  expect(await findAvailable(world, "h100")).toBe(0);
  expect(await getPhase(world, "alice", "runs")).toBe("active");
  expect(await getPhase(world, "bob", "waits")).toBe("queued");
  expect(await getPhase(world, "carol", "elsewhere")).toBe("active");
  expect(await findPlacement(world, "bob", "waits")).toBe(
    "No new H100 jobs are started at the moment: drained by the operator - position #1",
  );
});

test("capacity returned on a drained type is granted to no job, and all start in order after it reopens", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("runs"));
  await world.advance(MINUTE);
  for (const owner of ["bob", "carol"]) {
    await createEnvironment(world.as(owner), newEnvironment(`${owner}s`));
    await world.advance(1000);
  }

  await drainPool(world.ctx, "h100", true);
  await requestCancel(world.as("alice"), "runs");
  await world.advance(2 * MINUTE);
  const waiting = [await findPlacement(world, "bob", "bobs"), await findPlacement(world, "carol", "carols")];
  await drainPool(world.ctx, "h100", false);
  await world.advance(5000);

  expect(waiting.map((text) => text?.slice(-11))).toEqual(["position #1", "position #2"]);
  expect(await getPhase(world, "bob", "bobs")).toBe("active");
  expect(await getPhase(world, "carol", "carols")).toBe("queued");
  expect(await findPlacement(world, "carol", "carols")).toBe("Need 8 H100 GPUs, only 0 available - position #1");
});

test("a pause closes every pool, and its end reopens those that are not drained", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1, t4: 1 }) });
  await drainPool(world.ctx, "t4", true);

  await pauseAdmission(world.ctx, true);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await createEnvironment(world.as("alice"), newEnvironment("two", { pool: "t4", gpus: 4 }));
  await world.advance(2 * MINUTE);
  const paused = [await findPlacement(world, "alice", "one"), await findPlacement(world, "alice", "two")];
  await pauseAdmission(world.ctx, false);
  await world.advance(5000);

  expect(paused[0]).toContain("H100 jobs are started at the moment: paused by the operator");
  expect(paused[1]).toContain("T4 jobs are started at the moment: drained by the operator");
  expect(await getPhase(world, "alice", "one")).toBe("active");
  expect(await getPhase(world, "alice", "two")).toBe("queued");
});

/** Drains a type while a planner that read the head earlier grants its first job. */
async function grantedWhileDrained(): Promise<{ world: MemoryWorld; environment: Environment }> {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));
  let drained = false;
  const table: Table = {
    ...world.table,
    put: async (item, options) => {
      if (item.pk.startsWith("pool#h100#") && !drained) {
        drained = true;
        await drainPool(world.ctx, "h100", true);
      }
      return world.table.put(item, options);
    },
  };
  await planPools({ ...world.ctx, table }, [{ look: keyText(poolKey("h100")), for: [keyText(environment)] }]);
  return { world, environment };
}

test("a grant by a planner that read the head before the drain is not taken before the pool reopens", async () => {
  const { world, environment } = await grantedWhileDrained();

  await world.advance(2 * MINUTE);
  const [pool, phase] = [await viewPool(world.ctx, "h100"), await getPhase(world, "alice", "one")];
  await drainPool(world.ctx, "h100", false);
  await world.advance(10_000);

  expect([pool?.closed, pool?.granted.map(({ uid }) => uid), phase]).toEqual(["drained", [environment.uid], "queued"]);
  expect(await getPhase(world, "alice", "one")).toBe("active");
});

test("a drained type with open grants is planned once a minute, and sends no messages", async () => {
  const { world, environment } = await grantedWhileDrained();
  await world.advance(10_000);
  const before = await viewPool(world.ctx, "h100");

  await world.advance(5 * MINUTE);

  const after = await viewPool(world.ctx, "h100");
  expect((after?.plans ?? 0) - (before?.plans ?? 0)).toBeLessThanOrEqual(6);
  const messages: string[] = [];
  const queue = {
    ...world.queue,
    send: async (_: string, { look: recordKey }: ReconcileRequest) => void messages.push(recordKey),
  };
  world.clock.advance(MINUTE);
  await planPools({ ...world.ctx, queue }, [{ look: keyText(poolKey("h100")) }]);
  expect(messages).toContain(keyText(poolKey("h100")));
  expect(messages).not.toContain(keyText(environment));
});

test("a job whose grant a drain blocks is notified before the jobs behind it", async () => {
  const { world } = await grantedWhileDrained();
  await createEnvironment(world.as("bob"), newEnvironment("two"));

  await world.advance(5000);

  const drained = "No new H100 jobs are started at the moment: drained by the operator";
  expect(await findPlacement(world, "alice", "one")).toBe(`${drained} - position #1`);
  expect(await findPlacement(world, "bob", "two")).toBe(`${drained} - position #2`);
});

test("a grant blocked by a drain is taken at once when the type reopens a second later", async () => {
  const { world } = await grantedWhileDrained();
  await world.advance(1000);
  const drained = await getPhase(world, "alice", "one");

  await drainPool(world.ctx, "h100", false);
  await world.deliver();

  expect([drained, await getPhase(world, "alice", "one")]).toEqual(["queued", "active"]);
});

test("a waiting job starts at once after an undrain, although an earlier plan is written later", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await drainPool(world.ctx, "h100", true);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(10_000);
  world.clock.advance(MINUTE);
  let undrained = false;
  const table: Table = {
    ...world.table,
    put: async (item, options) => {
      if (item.pk === poolKey("h100").pk && !undrained) {
        undrained = true;
        await drainPool(world.ctx, "h100", false);
      }
      return world.table.put(item, options);
    },
  };

  await planPools({ ...world.ctx, table }, [{ look: keyText(poolKey("h100")) }]);
  await world.advance(5000);

  expect(undrained).toBe(true);
  expect(await getPhase(world, "alice", "one")).toBe("active");
});

test("the capacity schedule completes a pause that died before it reached the ledgers", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const dying: Table = {
    ...world.table,
    put: async (item, options) => {
      if (item.pk.startsWith("pool#")) throw new Error("gone");
      return world.table.put(item, options);
    },
  };
  await expect(pauseAdmission({ ...world.ctx, table: dying }, true)).rejects.toThrow("gone");

  await refreshCapacity(world.ctx);

  expect(await viewPool(world.ctx, "h100")).toMatchObject({ closed: "paused" });
});

test("a pool whose first machine arrives during a pause is created closed", async () => {
  const world = await memoryWorld({ nodes: [] });
  await pauseAdmission(world.ctx, true);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(1000);

  for (const node of newNodes({ h100: 1 })) world.compute.setNode(node);
  await world.advance(3 * MINUTE);

  expect(await getPhase(world, "alice", "one")).toBe("queued");
  expect(await viewPool(world.ctx, "h100")).toMatchObject({ closed: "paused", granted: [] });
});

test("a type drained while its ledger is created starts nothing", async () => {
  const world = await memoryWorld({ nodes: [] });
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));
  for (const node of newNodes({ h100: 1 })) world.compute.setNode(node);
  let isDrained = false;
  const table: Table = {
    ...world.table,
    put: async (item, options) => {
      if (item.pk === poolKey("h100").pk && !isDrained) {
        isDrained = true;
        await drainPool(world.ctx, "h100", true);
      }
      return world.table.put(item, options);
    },
  };

  await refreshCapacity({ ...world.ctx, table });
  await planPools(world.ctx, [{ look: keyText(poolKey("h100")), for: [keyText(environment)] }]);

  expect(await viewPool(world.ctx, "h100")).toMatchObject({ closed: "drained", granted: [] });
});

test.each(["drained", "paused"] as const)(
  "a pool %s again is closed although an older request to open it is still being written",
  async (closed) => {
    const world = await memoryWorld({ nodes: [] });
    for (const node of newNodes({ h100: 1 })) world.compute.setNode(node);
    await refreshCapacity(world.ctx);
    const close = (is: boolean) =>
      closed === "paused" ? pauseAdmission(world.ctx, is) : drainPool(world.ctx, "h100", is);
    await close(true);
    let isClosedAgain = false;
    const late: Table = {
      ...world.table,
      put: async (item, options) => {
        if (item.pk === poolKey("h100").pk && !isClosedAgain) {
          isClosedAgain = true;
          await close(true);
        }
        return world.table.put(item, options);
      },
    };
    const context = { ...world.ctx, table: late };

    await (closed === "paused" ? pauseAdmission(context, false) : drainPool(context, "h100", false));

    expect(isClosedAgain).toBe(true);
    expect(await viewPool(world.ctx, "h100")).toMatchObject({ closed });
  },
);

test("a ledger created while nothing is closed opens at once", async () => {
  const world = await memoryWorld({ nodes: [] });
  for (const node of newNodes({ h100: 1 })) world.compute.setNode(node);

  await refreshCapacity(world.ctx);

  expect(await viewPool(world.ctx, "h100")).toMatchObject({ closed: null, nodes: [{ name: "h100-1" }] });
});

test("keeps the settings of two concurrent operators", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1, t4: 1, a100: 1 }) });

  await Promise.all([
    ...["h100", "t4", "a100"].map((type) => drainPool(world.ctx, type, true)),
    pauseAdmission(world.ctx, true),
  ]);

  expect(await readAdmission(world.ctx)).toMatchObject({ paused: true, drained: ["a100", "h100", "t4"] });
  for (const type of ["h100", "t4", "a100"]) {
    expect(await viewPool(world.ctx, type)).toMatchObject({ closed: "drained" });
  }
});

test("answers try again if other writers keep a setting from being written", async () => {
  const world = await memoryWorld();
  const contended: Table = {
    ...world.table,
    put: async () => {
      throw new Conflict("admission|-");
    },
  };

  const drained = drainPool({ ...world.ctx, table: contended }, "h100", true);

  await expect(drained).rejects.toMatchObject({ kind: "unavailable" });
});
