import { expect, test } from "vitest";
import { memoryWorld, newActor, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { reservation } from "../../environments/record/policy.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { keyText, poolKey, usedKey } from "../../store/keys.ts";
import { planPools } from "../plan/planner.ts";
import type { Holding } from "./record.ts";
import { readRuns, readUsed, writeUsed } from "./usage.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;
const poolRequest = keyText(poolKey("h100"));

function holding(owner: string, units: number, at: number): Holding {
  const size = { pool: "h100", instanceType: "p5.48xlarge", machines: 1, units, gpus: units, wantedMs: HOUR };
  const entry = { id: "g", key: "k", uid: "u", run: 1, owner, size, shares: [{ node: "n1", units }], items: [], at };
  return { ...entry, phase: "stopping", endsAt: null };
}

/** Returns a machine that alice used for an hour and carol has now. */
async function worldAfterAnHourOfAlice() {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("before", { hours: 1 }));
  await world.advance(HOUR + 2 * MINUTE);
  await createEnvironment(world.as("carol"), newEnvironment("now", { hours: 1 }));
  await world.advance(MINUTE);
  return world;
}

test("the owner with less recent use starts first, although the other has waited longer and both hold nothing", async () => {
  const world = await worldAfterAnHourOfAlice();
  await createEnvironment(world.as("alice"), newEnvironment("again"));
  world.clock.advance(1);
  await createEnvironment(world.as("bob"), newEnvironment("first"));

  await world.advance(HOUR + 2 * MINUTE);

  expect((await world.read("bob", "first")).phase).toBe("active");
  expect((await world.read("alice", "again")).phase).toBe("queued");
});

test("usage halves in a day, and is zero after a month", async () => {
  const { ctx, clock } = await memoryWorld();
  const [alice, now] = [newActor("alice").uid, clock.now()];
  await writeUsed(ctx, await readUsed(ctx, "h100", [], [holding(alice, 8, now - 2 * HOUR)], now));
  const hoursAt = async (ms: number) => (await readUsed(ctx, "h100", ["x", alice], [], now + ms)).owners.get(alice);

  expect(await hoursAt(0)).toBeCloseTo(16);
  expect(await hoursAt(24 * HOUR)).toBeCloseTo(8);
  expect(await hoursAt(48 * HOUR)).toBeCloseTo(4);
  expect(await hoursAt(30 * 24 * HOUR)).toBeUndefined();
  expect(await hoursAt(-HOUR)).toBeCloseTo(16);
});

test.each([
  ["given back because nothing bound it is", 80_000, "active"],
  ["whose job failed because nothing ever bound it are", 6 * MINUTE, "failed"],
])("an uncounted try charges no owner: units %s no usage and no duration", async (_, ms, phase) => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 4 }) });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: "0/4 nodes are available" });
  await world.advance(MINUTE);
  if (phase === "active") world.compute.program(uid, { kind: "lives" });

  await world.advance(ms);

  expect((await world.read("alice", "one")).phase).toBe(phase);
  expect(world.table.all().filter(({ kind }) => kind === "used")).toEqual([]);
});

test("an interrupted run of a job that returns to the queue charges its owner, and is no duration", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  const policy = { ...reservation, onInterruption: "requeue" } as const;
  const { uid } = await createEnvironment(world.as("alice"), { ...newEnvironment("one", { hours: 24 }), policy });
  await world.advance(HOUR);

  world.compute.evict(uid, 1);
  await world.advance(3 * MINUTE);

  const { all } = await readRuns(world.ctx, "h100");
  const used = await readUsed(world.ctx, "h100", ["x", newActor("alice").uid], [], world.clock.now());
  expect((await world.read("alice", "one")).run.n).toBe(2);
  expect(all.reduce((sum, count) => sum + count, 0)).toBe(0);
  expect(used.owners.get(newActor("alice").uid)).toBeCloseTo(8, 0);
});

test("adds several holdings that return at once to the earlier use", async () => {
  const { ctx, clock } = await memoryWorld();
  const [alice, now] = [newActor("alice").uid, clock.now()];
  await writeUsed(ctx, await readUsed(ctx, "h100", [], [holding(alice, 8, now - HOUR)], now));
  const returned = [holding(alice, 1, now - HOUR), holding(alice, 2, now - HOUR), holding(alice, 4, now + HOUR)];

  const used = await readUsed(ctx, "h100", [], returned, now);

  expect(used.owners.get(alice)).toBeCloseTo(11);
  expect(used.changed).toHaveLength(1);
});

test("an item keeps the 512 largest and stays below 32 KB", async () => {
  const { ctx, clock } = await memoryWorld();
  const now = clock.now();
  const owners = Array.from({ length: 10_000 }, (_, n) => n.toString(16).padStart(32, "0"));

  const all = owners.map((owner, n) => holding(owner, 1, now - (n + 1) * HOUR));
  const { changed } = await readUsed(ctx, "h100", [], all, now);

  expect(changed).toHaveLength(16);
  for (const item of changed) {
    expect(Object.keys(item.owners)).toHaveLength(512);
    expect(Math.min(...Object.values(item.owners))).toBeGreaterThan(1_000);
    expect(JSON.stringify(item).length).toBeLessThan(32_000);
  }
});

test("a plan reads the use once if several owners wait, and not at all if it decides nothing", async () => {
  const world = await memoryWorld({ nodes: [] });
  const reads: string[][] = [];
  const getMany: typeof world.table.getMany = async (keys) => {
    reads.push(keys.map(({ pk }) => pk));
    return world.table.getMany(keys);
  };
  const ctx = { ...world.ctx, table: { ...world.table, getMany } };
  // The forecast after a plan reads all 16.
  const ofUse = () => reads.filter((keys) => keys.length < 16 && keys.some((pk) => pk.startsWith("used#")));
  for (const id of ["one", "two"]) await createEnvironment(world.as("alice"), newEnvironment(id));

  await planPools(ctx, [{ look: poolRequest }]);
  const ofOneOwner = ofUse().length;
  for (const name of ["bob", "carol"]) {
    const { pk, sk } = await createEnvironment(world.as(name), newEnvironment("one"));
    await planPools(ctx, [{ look: poolRequest, for: [keyText({ pk, sk })] }]);
  }

  expect(ofOneOwner).toBe(0);
  expect(ofUse()).toHaveLength(2);
  expect(ofUse().every((keys) => keys.every((pk) => pk.startsWith("used#h100#")))).toBe(true);
});

test("an unreadable item counts as empty, and is rewritten", async () => {
  const { ctx, table, clock } = await memoryWorld();
  const [alice, now] = [newActor("alice").uid, clock.now()];
  const digit = ctx.ids.hash(alice).slice(0, 1);
  const spoilt = [{ at: "soon" }, { at: now, owners: null }, { at: now, owners: { [alice]: "much", other: -4 } }];

  for (const fields of spoilt) {
    await table.put({ ...usedKey("h100", digit), writers: [], kind: "used", ...fields } as never);
    const used = await readUsed(ctx, "h100", ["x", alice], [holding(alice, 1, now - HOUR)], now);

    expect([...used.owners]).toEqual([[alice, 1]]);
    expect(used.changed[0]?.owners).toEqual({ [alice]: 1 });
  }
});
