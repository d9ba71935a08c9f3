import { expect, test } from "vitest";
import { seededRandom } from "#tests/fixtures/random.ts";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Item } from "../../ports/table.ts";
import { forecastKey, poolKey } from "../../store/keys.ts";
import { type PlanInput, plan, type Waiting } from "../plan/plan.ts";
import { estimateStart } from "./estimate.ts";
import { refreshForecast } from "./forecast-items.ts";
import { passesAt, passingIn } from "./stored-forecast.ts";
import { noDurations } from "./workload.ts";

const MINUTE = 60_000;

/** Returns two to five machines in two zones, mostly in use, one that can be created, and waiting jobs. */
function seededPool(seed: number, now: number): PlanInput {
  const random = seededRandom(seed);
  const upTo = (n: number) => Math.floor(random() * n);
  const nodes = Array.from({ length: 2 + upTo(4) }, (_, n) => ({ name: `n${n}`, zone: upTo(2) ? "a" : "b", units: 8 }));
  const occupied = nodes.flatMap(({ name }, n) => {
    const size = { wantedMs: (1 + upTo(600)) * MINUTE };
    const shares = [{ node: name, units: 1 + upTo(8) }];
    return upTo(5) ? [{ owner: `o${n}`, shares, endsAt: now + 10 * MINUTE + upTo(size.wantedMs), at: now, size }] : [];
  });
  const waiting = Array.from({ length: 1 + upTo(4) }, (_, n): Waiting => {
    const size = { machines: 1 + upTo(2), units: 8, wantedMs: (1 + upTo(300)) * MINUTE };
    return { uid: `w${n}`, owner: `o${n}`, zone: null, queuedAt: now - upTo(9), size };
  });
  const group = { makeable: [{ count: upTo(2), zones: [] }], unitsPerNode: 8, startupMs: 5 * MINUTE };
  return { nodes, occupied, waiting, ...group, head: null, now };
}

test("a job that may start before the head by the forecast gets its capacity in the next plan", async () => {
  const { ctx, clock } = await memoryWorld();
  const [passed, refused] = [new Set<number>(), new Set<number>()];
  for (let seed = 1; seed <= 150; seed++) {
    clock.advance(10_000);
    const now = clock.now();
    const input = seededPool(seed, now);
    const planned = plan(input);
    const durations = async () => noDurations;
    await refreshForecast(ctx, { type: "h100", plan: input, planned, number: seed, durations, started: [] });
    const passing = passingIn(await ctx.table.get(forecastKey("h100", null)));

    for (const units of [1, 2, 4, 8]) {
      for (const zone of [null, "a", "b"]) {
        const size = { machines: 1, units, wantedMs: ((seed * units * 37) % 400) * MINUTE };
        const mine: Waiting = { uid: "mine", owner: "me", zone, queuedAt: now, size };
        const passes = passesAt(passing, { ...size, zone }, now);
        (passes ? passed : refused).add(seed);
        const isGranted = () => grantsAfter(input, mine).some(({ uid }) => uid === "mine");
        if (passes) expect(isGranted(), `seed ${seed}: ${units} in ${zone}`).toBe(true);
      }
    }
  }

  expect(passed.size).toBeGreaterThan(20);
  expect(refused.size).toBeGreaterThan(20);
});

/** Returns the grants of the next plan, once the last plan's grants are in use. */
function grantsAfter(input: PlanInput, mine: Waiting): ReturnType<typeof plan>["grants"] {
  const { grants, head } = plan(input);
  const value = new Map(grants.map(({ uid, shares }) => [uid, shares]));
  const occupied = input.waiting.flatMap(({ uid, owner, size }) => {
    const shares = value.get(uid);
    return shares ? [{ owner, shares, endsAt: null, at: input.now, size }] : [];
  });
  const waiting = [...input.waiting.filter(({ uid }) => !value.has(uid)), mine];
  return plan({ ...input, head, occupied: [...input.occupied, ...occupied], waiting }).grants;
}

test.each<[string, number | null, Partial<PlanInput>]>([
  ["a type that is scaled to zero", 5, {}],
  ["a type with machines only in another zone", 5, { nodes: [{ name: "n9", zone: "zone-z", units: 8 }] }],
  ["a type whose machines can be created only elsewhere", null, { makeable: [{ count: 2, zones: ["zone-z"] }] }],
  ["a type without creatable machines", null, { makeable: [], nodes: [{ name: "n9", zone: "zone-z", units: 8 }] }],
])("estimates for a disk's owner when a machine in its zone is free: %s, %j minutes", async (_, minutes, options) => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const alice = world.as("alice");
  await createEnvironment(alice, newEnvironment("first", { disk: "data" }));
  await world.advance(2 * 60 * MINUTE);
  const now = world.clock.now();
  const group = { makeable: [{ count: 2, zones: [] }], unitsPerNode: 8, startupMs: 5 * MINUTE };
  const input: PlanInput = { nodes: [], occupied: [], waiting: [], ...group, head: null, now, ...options };
  const durations = async () => noDurations;
  await world.table.put({ ...forecastKey("h100", null), writers: [] });
  await refreshForecast(world.ctx, {
    type: "h100",
    plan: input,
    planned: plan(input),
    number: 1,
    durations,
    started: [],
  });

  const { size } = newEnvironment("second");
  const found = await estimateStart(alice, { size, disk: "data" }, []);

  expect(found).toMatchObject({
    answer: minutes === null ? { p50: null, code: "never" } : { p50: now + minutes * MINUTE, code: "elsewhere" },
  });
});

test("promises a start now although an earlier version wrote the plan, without the free units per machine", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const alice = world.as("alice");
  await createEnvironment(alice, newEnvironment("first"));
  await world.advance(2 * 60 * MINUTE);
  const { size } = newEnvironment("second");
  const getAnswer = async () => {
    const found = await estimateStart(alice, { size, disk: undefined }, []);
    return found.kind === "estimate" && found.answer.code;
  };
  const before = await getAnswer();
  const head = (await world.table.get(poolKey("h100"))) as Item & { readonly summary: Record<string, unknown> };
  const { mostFree, ...summary } = head.summary;
  const older = { ...head, summary };
  await world.table.put(older);

  expect([before, mostFree === undefined, await getAnswer()]).toEqual(["now", false, "now"]);
});
