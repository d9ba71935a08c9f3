import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { PoolPart } from "../../ports/compute.ts";
import { admissionKey, keyText, poolKey } from "../../store/keys.ts";
import { writeRecord } from "../../store/write-record.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../units.ts";
import { refreshCapacity } from "../capacity/capacity.ts";
import { readAdvice } from "../forecast/advice.ts";
import { estimateStart } from "../forecast/estimate.ts";
import { readLedger } from "../ledger/ledger.ts";
import { emptyPool, findPool } from "../ledger/record.ts";
import { planPools } from "../plan/planner.ts";
import { reasonText } from "../plan/reasons.ts";
import { drainPool, readAdmission } from "./admission.ts";
import { readCapacity } from "./availability.ts";
import { drainPart, planDrain, undrainPart } from "./drain-part.ts";

const note = { by: "ada", reason: "New disk" };
const START = Date.UTC(2026, 0, 20, 18);
const eksGroup = { instanceTypes: ["p5.48xlarge"], isActive: true, admitsRuns: true };

async function startWorld(nodes = 1): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: newNodes({ h100: nodes }), startAt: START });
  await refreshCapacity(world.ctx);
  return world;
}

async function submit(world: MemoryWorld, id: string, hours: number, gpus = 8): Promise<void> {
  await createEnvironment(world.as("alice"), newEnvironment(id, { hours, gpus }));
  await world.advance(MINUTE_MS);
}

async function findMachines(world: MemoryWorld, id: string): Promise<string[]> {
  const { phase, run } = await world.read("alice", id);
  return [phase, ...run.machines.map(({ name }) => name)];
}

async function findAdvice(world: MemoryWorld, id: string) {
  const environment = await world.read("alice", id);
  const { place, start } = (await readAdvice(world.ctx, [environment])).get(environment.uid) ?? {};
  return { reason: place && reasonText(place, environment.size.pool), startsAt: start?.p50 ?? null };
}

function joins(world: MemoryWorld, name: string, zone: string, group?: string): void {
  const [node] = newNodes({ h100: 1 });
  const ids = { uid: `uid-${name}`, providerId: `memory:///${name}` };
  if (node) world.compute.setNode({ ...node, name, zone, group, ...ids });
}

test("until the drain, only jobs that end by then start on the machine, and a longer one names the drain", async () => {
  const world = await startWorld();
  await planDrain(world.ctx, "h100", { node: "h100-1" }, { ...note, from: START + 3 * HOUR_MS });

  await submit(world, "long", 3.1);
  await submit(world, "short", 2, 4);

  expect(await findMachines(world, "short")).toEqual(["active", "h100-1"]);
  expect(await findMachines(world, "long")).toEqual(["queued"]);
  expect(await findAdvice(world, "long")).toEqual({
    reason:
      "Need 8 H100 GPUs, but the job would still run when h100-1 is drained at 2026-01-20 21:00 UTC - position #1",
    startsAt: null,
  });

  await undrainPart(world.ctx, "h100", { node: "h100-1" });
  await world.advance(3 * HOUR_MS);

  expect(await findMachines(world, "long")).toEqual(["active", "h100-1"]);
  expect((await readAdmission(world.ctx)).planned).toEqual([]);
});

test("a job that ends exactly at the time of the drain starts", async () => {
  const world = await startWorld();
  await planDrain(world.ctx, "h100", { zone: "zone-a" }, { ...note, from: START + 3 * HOUR_MS });

  await submit(world, "exact", 3);

  expect(await findMachines(world, "exact")).toEqual(["active", "h100-1"]);
});

test("a longer job takes another machine, or waits for one", async () => {
  const world = await startWorld(2);
  await planDrain(world.ctx, "h100", { node: "h100-1" }, { ...note, from: START + 2 * HOUR_MS });

  await submit(world, "long", 3);
  await submit(world, "next", 3);

  expect(await findMachines(world, "long")).toEqual(["active", "h100-2"]);
  expect(await findMachines(world, "next")).toEqual(["queued"]);
  const { reason, startsAt } = await findAdvice(world, "next");
  expect(reason).toMatch(/^Need 8 H100 GPUs, but the job would still run when h100-1 is drained at /);
  expect((startsAt ?? 0) - world.clock.now()).toBeGreaterThan(2.5 * HOUR_MS);
});

test.each<[string, PoolPart, object]>([
  ["machine", { node: "h100-1" }, { closed: null, drained: [{ node: "h100-1" }] }],
  ["zone", { zone: "zone-a" }, { closed: null, drained: [{ zone: "zone-a" }] }],
  ["type", {}, { closed: "drained" }],
])("at its time a %s is drained although nothing ran then, and runs there continue", async (_, part, head) => {
  const world = await startWorld();
  await submit(world, "runs", 1.5, 4);
  await planDrain(world.ctx, "h100", part, { ...note, from: START + HOUR_MS });
  world.clock.advance(START + HOUR_MS - world.clock.now());

  const { parts = [], drained, closures = [] } = await readAdmission(world.ctx);
  expect([...parts, ...closures]).toMatchObject([{ type: "h100", ...part, at: START + HOUR_MS, ...note }]);
  expect(drained).toEqual("node" in part || "zone" in part ? [] : ["h100"]);
  expect(await findPool(world.ctx, "h100")).toMatchObject(head);

  await submit(world, "late", 0.1, 4);

  expect((await readCapacity(world.ctx)).pools[0]).toMatchObject({ available: 0 });
  expect(await findMachines(world, "late")).toEqual(["queued"]);
  expect(await findMachines(world, "runs")).toEqual(["active", "h100-1"]);

  await ("node" in part || "zone" in part ? undrainPart(world.ctx, "h100", part) : drainPool(world.ctx, "h100", false));
  await world.advance(MINUTE_MS);

  expect(await findMachines(world, "late")).toEqual(["active", "h100-1"]);
});

test("of two drains of overlapping parts, the earlier one counts for each machine", async () => {
  const world = await startWorld(1);
  joins(world, "in-b", "zone-b");
  await refreshCapacity(world.ctx);
  await planDrain(world.ctx, "h100", {}, { ...note, from: START + 6 * HOUR_MS });
  await planDrain(world.ctx, "h100", { zone: "zone-a" }, { ...note, from: START + 2 * HOUR_MS });

  await submit(world, "four", 4);
  await submit(world, "more", 4);
  await submit(world, "one", 1);
  await submit(world, "eight", 8);

  expect(await findMachines(world, "four")).toEqual(["active", "in-b"]);
  expect(await findMachines(world, "more")).toEqual(["queued"]);
  expect(await findMachines(world, "one")).toEqual(["active", "h100-1"]);
  expect((await findAdvice(world, "eight")).reason).toMatch(/ when H100 is drained at 2026-01-21 00:00 UTC - /);
});

test("a drain that a grant did not see is respected when the job takes the grant", async () => {
  const world = await startWorld(2);
  await createEnvironment(world.as("alice"), newEnvironment("long", { hours: 3 }));
  const machines = await grantedMachines(world);
  for (const node of machines) await planDrain(world.ctx, "h100", { node }, { ...note, from: START + 2 * HOUR_MS });

  await world.advance(MINUTE_MS);

  expect(machines).toHaveLength(1);
  const [phase, machine] = await findMachines(world, "long");
  expect(phase).toBe("active");
  expect(machines).not.toContain(machine);
});

test("new machines count for a long job only outside of what will be drained, and it is kept off that", async () => {
  const world = await memoryWorld({ nodes: [], startAt: START });
  world.machineGroups.set([
    { ...eksGroup, name: "old", zones: ["zone-a"], mostNodes: 2 },
    { ...eksGroup, name: "new", zones: ["zone-b"], mostNodes: 1 },
  ]);
  await world.advance(2 * MINUTE_MS);
  await planDrain(world.ctx, "h100", { nodeGroup: "old" }, { ...note, from: START + 2 * HOUR_MS });

  for (const id of ["one", "two"]) await submit(world, id, 4);
  await submit(world, "short", 1);

  const { grant } = (await world.read("alice", "one")).run;
  expect(grant?.avoids).toEqual([{ nodeGroup: "old" }]);
  expect((await world.read("alice", "short")).run.grant?.avoids).toBeUndefined();
  expect(await findMachines(world, "two")).toEqual(["queued"]);
  expect((await findAdvice(world, "two")).reason).toMatch(/ when node group old is drained at 2026-01-20 20:00 UTC - /);
});

test("a job takes a machine that will be drained together with a new one, although that starts later", async () => {
  const nodeGroups = [{ pool: "h100", mostNodes: 2, startupMs: 5 * MINUTE_MS, zones: [] }];
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), startAt: START, settings: { nodeGroups } });
  await refreshCapacity(world.ctx);
  await planDrain(world.ctx, "h100", { node: "h100-1" }, { ...note, from: START + 2 * HOUR_MS + 2 * MINUTE_MS });

  await submit(world, "pair", 2, 16);

  const { phase, run } = await world.read("alice", "pair");
  expect([phase, run.n, run.grant?.shares.map(({ node }) => node)]).toEqual(["preparing", 1, ["h100-1", null]]);
});

test("drains whose time has come count once in the limit", async () => {
  const world = await startWorld(30);
  for (let n = 1; n <= 26; n++) {
    await planDrain(world.ctx, "h100", { node: `h100-${n}` }, { ...note, from: START + HOUR_MS });
  }
  await world.advance(HOUR_MS);

  await drainPart(world.ctx, "h100", { node: "h100-27" }, note);

  expect((await readAdmission(world.ctx)).parts).toHaveLength(27);
});

test("an estimate offers the machine to jobs that end before the drain, and names it to others", async () => {
  const world = await startWorld();
  await planDrain(world.ctx, "h100", {}, { ...note, from: START + 3 * HOUR_MS });
  await world.advance(MINUTE_MS);
  const estimate = async (hours: number) => {
    const { size } = newEnvironment("asks", { hours });
    const found = await estimateStart(world.as("bob"), { size, disk: undefined }, []);
    return found.kind === "estimate" ? found.answer : undefined;
  };

  expect(await estimate(2)).toMatchObject({ code: "now" });
  expect(await estimate(4)).toMatchObject({
    code: "closing",
    p50: null,
    lacks: "H100 is drained at 2026-01-20 21:00 UTC",
  });
});

test("a drain is planned for a part that exists and a time within 90 days, and a later call moves it", async () => {
  const world = await startWorld();
  const plan = (from: number, part: PoolPart = { node: "h100-1" }) =>
    planDrain(world.ctx, "h100", part, { ...note, from });

  await expect(plan(START)).rejects.toMatchObject({ kind: "invalid" });
  await expect(plan(START + 90 * DAY_MS + 1)).rejects.toMatchObject({ kind: "invalid" });
  await expect(plan(START + 1, { node: "h100-9" })).rejects.toMatchObject({ kind: "notFound" });
  await plan(START + HOUR_MS);
  const { planned } = await plan(START + 2 * HOUR_MS);

  expect(planned).toEqual([{ type: "h100", node: "h100-1", at: START, ...note, from: START + 2 * HOUR_MS }]);
});

test("a drain at once replaces a planned one, and a drained part has no planned drain", async () => {
  const world = await startWorld();
  const part = { node: "h100-1" };
  await planDrain(world.ctx, "h100", part, { ...note, from: START + HOUR_MS });

  const { planned, parts } = await drainPart(world.ctx, "h100", part, note);
  const after = await planDrain(world.ctx, "h100", part, { ...note, from: START + HOUR_MS });

  expect([planned, parts]).toEqual([[], [{ type: "h100", ...part, at: START, ...note }]]);
  expect([after.planned, after.parts]).toEqual([planned, parts]);
});

test("a worker of an earlier version that writes admission and head keeps a planned drain", async () => {
  const world = await startWorld();
  await planDrain(world.ctx, "h100", { node: "h100-1" }, { ...note, from: START + HOUR_MS });
  // It knows no planned drain, and copies only the drained parts into the head.
  const rewrite = async (key: { pk: string; sk: string }, change: object) => {
    const item = await world.table.get(key);
    if (item) await writeRecord(world.ctx, { ...item, ...change } as never);
  };
  await rewrite(admissionKey, { parts: [{ type: "h100", zone: "zone-x", at: START, ...note }] });
  world.clock.advance(HOUR_MS);
  await rewrite(poolKey("h100"), { closed: null, drained: undefined });

  expect((await findPool(world.ctx, "h100"))?.drained).toEqual([{ node: "h100-1" }]);
  expect((await readAdmission(world.ctx)).parts).toMatchObject([{ zone: "zone-x" }, { node: "h100-1" }]);

  await submit(world, "late", 0.1);

  expect(await findMachines(world, "late")).toEqual(["queued"]);
});

/** Plans without letting the job take its grant, and returns the granted machines. */
async function grantedMachines(world: MemoryWorld): Promise<string[]> {
  const environment = await world.read("alice", "long");
  await planPools(world.ctx, [{ look: keyText(poolKey("h100")), for: [keyText(environment)] }]);
  const { nodes } = await readLedger(world.ctx, (await findPool(world.ctx, "h100")) ?? emptyPool(world.ctx, "h100"));
  return nodes.flatMap(({ name, granted }) => granted.map(() => name));
}
