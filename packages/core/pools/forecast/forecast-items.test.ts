import { describe, expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewForecast } from "#tests/worlds/pool-view.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Item } from "../../ports/table.ts";
import { forecastKey, planKey } from "../../store/keys.ts";
import { NO_WRITER } from "../../store/writers.ts";
import { type Occupied, type PlanInput, plan, type Waiting } from "../plan/plan.ts";
import { readAdvice } from "./advice.ts";
import { type EstimateErrors, estimateErrorsKey, readEstimateErrors } from "./calibration.ts";
import { estimateFor } from "./estimate-new-job.ts";
import { type ForecastOutset, refreshForecast } from "./forecast-items.ts";
import { noDurations, readArrivals } from "./workload.ts";

const HOUR = 3_600_000;

function held(endsAt: number, units = 8): Occupied {
  const size = { wantedMs: 4 * HOUR };
  return { owner: "x", shares: [{ node: "n1", units }], endsAt, at: endsAt - size.wantedMs, size };
}

function waiting(uid: string, queuedAt: number): Waiting {
  return { uid, owner: "o", zone: null, queuedAt, size: { machines: 1, units: 8, wantedMs: HOUR } };
}

function outset(now: number, options: Partial<PlanInput>, rest: Partial<ForecastOutset> = {}): ForecastOutset {
  const nodes = [{ name: "n1", zone: "zone-a", units: 8 }];
  const group = { makeable: [], unitsPerNode: 8, startupMs: 0, head: null };
  const input = { nodes, occupied: [], waiting: [], ...group, now, ...options };
  return {
    type: "h100",
    plan: input,
    planned: plan(input),
    number: 1,
    durations: async () => noDurations,
    started: [],
    ...rest,
  };
}

async function listErrors({ table }: MemoryWorld["ctx"], type: string): Promise<EstimateErrors[]> {
  return readEstimateErrors(await table.getMany([estimateErrorsKey(type)]), [type]);
}

/** Deletes the forecast that the planner made. */
async function forgetForecasts({ table }: MemoryWorld): Promise<void> {
  const forecasts = table.all().filter(({ pk }) => pk.startsWith("forecast#"));
  await Promise.all(forecasts.map((item) => table.remove(item, { ifWriter: NO_WRITER })));
}

/** Returns one machine in use, and a job that waits for it. */
async function worldWithOneWaiting() {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("first", { hours: 4 }));
  await world.advance(60_000);
  await createEnvironment(world.as("bob"), newEnvironment("second"));
  const record = await world.read("bob", "second");
  await forgetForecasts(world);
  return { ...world, record };
}

describe("a stored forecast", () => {
  test("contains the start of waiting jobs and what may move it, and answers estimates", async () => {
    const { ctx, clock, record } = await worldWithOneWaiting();
    const now = clock.now();

    await refreshForecast(ctx, outset(now, { occupied: [held(now + HOUR)], waiting: [waiting(record.uid, now)] }));

    expect((await readAdvice(ctx, [record])).get(record.uid)?.start).toEqual({
      p50: now + HOUR,
      p90: now + HOUR,
      later: null,
      move: { code: "ends", count: 8 },
    });
    expect(await viewForecast(ctx, "h100")).toMatchObject({ at: now, waiting: 1, turns: [{ position: 1 }] });
    expect(await viewForecast(ctx, "a100")).toBeUndefined();
  });

  test("contains the reserved start even beyond its horizon", async () => {
    const { ctx, clock, record } = await worldWithOneWaiting();
    const now = clock.now();
    const startsAt = now + 9 * 24 * HOUR;

    await refreshForecast(ctx, outset(now, { occupied: [held(startsAt)], waiting: [waiting(record.uid, now)] }));

    const start = (await readAdvice(ctx, [record])).get(record.uid)?.start;
    expect(start).toMatchObject({ p50: startsAt, p90: startsAt, later: now + 7 * 24 * HOUR });
  });

  test("contains the first machine of its type at once", async () => {
    const { ctx, clock } = await memoryWorld({ nodes: [] });
    await refreshForecast(ctx, outset(clock.now(), { nodes: [] }));
    clock.advance(100);
    await refreshForecast(ctx, outset(clock.now(), {}));

    expect(await viewForecast(ctx, "h100")).toMatchObject({ at: clock.now(), freeUnits: 8 });
  });

  test("is ignored once it is old", async () => {
    const { ctx, clock, record } = await worldWithOneWaiting();
    const now = clock.now();
    await refreshForecast(ctx, outset(now, { occupied: [held(now + HOUR)], waiting: [waiting(record.uid, now)] }));

    clock.advance(11 * 60_000);

    expect((await readAdvice(ctx, [record])).get(record.uid)).toMatchObject({ start: undefined, farBack: false });
    expect(await viewForecast(ctx, "h100")).toBeUndefined();
  });

  test.each([
    ["a forecast", 5, 5 * 60_000],
    ["a plan, once the forecast is old", 11, 11 * 60_000],
  ])("and a plan show no start in the past, and since when a job is late: %s", async (_, minutes, away) => {
    const { ctx, clock, record } = await worldWithOneWaiting();
    const now = clock.now();
    const entries = { [record.uid]: [1, now + 90_000, "short", 8, 0] };
    const planned: Item = { ...planKey("h100", record.uid.slice(0, 1)), writers: [], at: now, complete: true, entries };
    await ctx.table.put(planned);
    const occupied = [held(now + 90_000)];
    await refreshForecast(ctx, outset(now, { occupied, waiting: [waiting(record.uid, now)] }));

    const answer = async () => (await readAdvice(ctx, [record])).get(record.uid);
    clock.advance(100_000);
    const soon = await answer();
    clock.advance(away - 100_000);
    const late = await answer();

    expect(soon).toMatchObject({ start: { p50: now + 100_000, p90: now + 100_000 }, lateSince: undefined });
    expect(late?.lateSince).toBe(now + 90_000);
    expect(late?.place?.startsAt).toBe(now + minutes * 60_000);
    expect(late?.start?.p50).toBe(minutes > 10 ? undefined : now + away);
  });

  test("with a short horizon shows no limit in the past", async () => {
    const { ctx, clock, record } = await worldWithOneWaiting();
    const [now, digit] = [clock.now(), record.uid.slice(0, 1)];
    const entries = { [record.uid]: [null, null, "none", 0] };
    const short: Item = { ...forecastKey("h100", digit), writers: [], at: now, later: now + 30_000, entries };
    await ctx.table.put(short);
    const answer = async () => (await readAdvice(ctx, [record])).get(record.uid)?.start?.later;

    const soon = await answer();
    clock.advance(50_000);

    expect(soon).toBe(now + 30_000);
    expect(await answer()).toBe(now + 50_000);
  });

  test("is made at most every ten seconds, even after a clock that ran ahead", async () => {
    const { ctx, clock, record } = await worldWithOneWaiting();
    const at = async (now: number) => {
      await refreshForecast(ctx, outset(now, { waiting: [waiting(record.uid, now)] }));
      return (await viewForecast(ctx, "h100"))?.at;
    };
    const now = clock.now();

    expect(await at(now)).toBe(now);
    expect(await at(now + 9_999)).toBe(now);
    expect(await at(now + 10_000)).toBe(now + 10_000);
    expect(await at(now - 60_000)).toBe(now - 60_000);
  });

  test.each<[string, boolean, Partial<PlanInput>, Partial<ForecastOutset>]>([
    ["nothing happened", false, {}, {}],
    ["a job replaced another", true, { waiting: [waiting("b", 5)] }, {}],
    ["a job left", true, { waiting: [] }, {}],
    ["a job started in place of another", true, {}, { started: [{ ...waiting("c", 0), at: 5 }] }],
    [
      "somebody is granted in place of another",
      true,
      { occupied: [], waiting: [waiting("a", -5), waiting("b", -6)] },
      {},
    ],
    ["room was given back", true, { occupied: [held(HOUR, 4)] }, {}],
    ["others were read", false, { waiting: [waiting("b", 5), waiting("c", 6)] }, { isPartial: true }],
  ])("is renewed while fresh if %s: %s", async (_, again, since, rest) => {
    const { ctx, clock } = await worldWithOneWaiting();
    const begin = clock.now();
    const at = (time: number) => begin + time;
    const moved = ({ occupied = [held(HOUR)], waiting: all = [waiting("a", -5)] }: Partial<PlanInput>) => ({
      occupied: occupied.map((occupied) => ({ ...occupied, at: at(occupied.at), endsAt: at(HOUR) })),
      waiting: all.map((waiting) => ({ ...waiting, queuedAt: at(waiting.queuedAt) })),
    });
    const started = (rest.started ?? []).map((entry) => ({ ...entry, at: at(entry.at) }));

    const first = await refreshForecast(ctx, outset(begin, moved({})));
    const second = await refreshForecast(ctx, outset(begin + 7, moved(since), { ...rest, started }));

    expect([first, second]).toEqual([undefined, again ? begin + 10_000 : undefined]);
  });

  test("forgets jobs that started, and counts the start against the first estimate", async () => {
    const { ctx, clock, record } = await worldWithOneWaiting();
    const now = clock.now();
    const { uid } = record;
    const occupied = [held(now + 4 * HOUR)];
    await refreshForecast(ctx, outset(now, { occupied, waiting: [waiting(uid, now)] }));
    await refreshForecast(ctx, outset(now + HOUR, { occupied: [held(now + 2 * HOUR)], waiting: [waiting(uid, now)] }));
    const started = [{ uid, at: now + 5 * HOUR, owner: "o", size: { machines: 1, units: 8, wantedMs: HOUR } }];

    const puts: string[] = [];
    const put: typeof ctx.table.put = async (item) => {
      puts.push(item.pk);
      await ctx.table.put(item);
    };
    const counted = { ...ctx, table: { ...ctx.table, put } };
    for (const hours of [5, 6]) await refreshForecast(counted, outset(now + hours * HOUR, {}, { started }));

    expect(puts.filter((pk) => pk === estimateErrorsKey("h100").pk)).toHaveLength(1);
    expect((await readAdvice(ctx, [record])).get(record.uid)?.start).toBeUndefined();
    expect(await listErrors(ctx, "h100")).toEqual([{ type: "h100", starts: 1, covered: 0, medianError: 0.2 }]);
  });

  test.each<[string, Partial<PlanInput>, Partial<PlanInput>]>([
    ["is drained", {}, { closed: "drained" }],
    ["is open again", { closed: "paused" }, {}],
    ["has an unreadable ledger", {}, { closed: "unreadable" }],
    ["has other machines, as many units free", {}, { nodes: [{ name: "n2", zone: "zone-b", units: 8 }] }],
  ])("of a pool without waiting jobs is renewed within five minutes once that %s", async (_, first, then) => {
    const { ctx, clock } = await worldWithOneWaiting();
    const begin = clock.now();

    await refreshForecast(ctx, outset(begin, first));
    const still = await refreshForecast(ctx, outset(begin + 5_000, first));
    const changed = await refreshForecast(ctx, outset(begin + 6_000, then));
    await refreshForecast(ctx, outset(begin + 11_000, then));

    expect([still, changed]).toEqual([undefined, begin + 10_000]);
    expect(await viewForecast(ctx, "h100")).toMatchObject({ at: begin + 11_000, closed: then.closed ?? null });
  });

  test.each<[string, boolean, Partial<PlanInput>]>([
    ["its machine is away", true, { nodes: [], occupied: [] }],
    ["an unreadable item hides who has capacity", true, { closed: "unreadable" }],
    ["the operator pauses", false, { closed: "paused" }],
  ])("without a time while %s counts the start against the earlier estimate: %s", async (_, counts, away) => {
    const { ctx, clock, record } = await worldWithOneWaiting();
    const now = clock.now();
    const { uid } = record;
    const pool = { occupied: [held(now + 2 * HOUR)], waiting: [waiting(uid, now)] };

    await refreshForecast(ctx, outset(now, pool));
    await refreshForecast(ctx, outset(now + HOUR, { ...pool, ...away }));
    const during = (await readAdvice(ctx, [record])).get(uid)?.start;
    await refreshForecast(ctx, outset(now + 2 * HOUR, { ...pool, occupied: [held(now + 4 * HOUR)] }));
    const started = [{ uid, at: now + 4 * HOUR, owner: "o", size: { machines: 1, units: 8, wantedMs: HOUR } }];
    await refreshForecast(ctx, outset(now + 4 * HOUR, {}, { started }));

    expect(during).toBeUndefined();
    const errors = counts ? { covered: 0, medianError: 0.5 } : { covered: 1, medianError: 0 };
    expect(await listErrors(ctx, "h100")).toEqual([{ type: "h100", starts: 1, ...errors }]);
  });

  test("places no estimate before the head, whose start is reserved however much its owner holds", async () => {
    const { ctx, clock, record } = await worldWithOneWaiting();
    const now = clock.now();
    const pool = { occupied: [{ ...held(now + HOUR), owner: "o" }], waiting: [waiting(record.uid, now)] };
    await refreshForecast(ctx, outset(now, pool));

    const standing = await viewForecast(ctx, "h100");
    const mine = { owner: "poor", machines: 1, units: 8, zone: null, wantedMs: HOUR };

    const really = outset(now, {
      ...pool,
      head: record.uid,
      waiting: [...pool.waiting, { ...waiting("f".repeat(32), now + 1), owner: "poor" }],
    });
    expect(really.planned.places.map(({ uid, position }) => [uid, position])).toEqual([
      [record.uid, 1],
      ["f".repeat(32), 2],
    ]);
    expect(standing && estimateFor(standing, mine)).toMatchObject({ position: 2, p50: now + 2 * HOUR });
  });

  test("counts the plan's grants as in use", async () => {
    const { ctx, clock, record } = await worldWithOneWaiting();
    const now = clock.now();

    await refreshForecast(ctx, outset(now, { waiting: [waiting("f".repeat(32), now - 1), waiting(record.uid, now)] }));

    expect((await readAdvice(ctx, [record])).get(record.uid)?.start).toMatchObject({ p50: now + HOUR });
    expect(await viewForecast(ctx, "h100")).toMatchObject({ freeUnits: 0, owners: { o: 16 } });
  });

  test("contains each recent arrival once, whether it had to wait or not", async () => {
    const world = await memoryWorld();
    await forgetForecasts(world);
    const { ctx, clock } = world;
    const begin = clock.now();
    const size = { machines: 1, units: 8, wantedMs: HOUR };
    const occupied = [held(begin + 4 * HOUR)];
    const came = async () => readArrivals((await ctx.table.get(forecastKey("h100", null)))?.arrivals);
    await refreshForecast(
      ctx,
      outset(begin, { occupied, waiting: [waiting("a", begin - 5), waiting("b", begin - 9)] }),
    );

    const now = begin + 20_000;
    const all = [waiting("a", begin - 5), waiting("c", begin + 7)];
    const started = [
      { uid: "old", at: begin - 50, owner: "o", size },
      { uid: "b", at: begin + 3, owner: "o", size },
      { uid: "soon", at: begin + 4, owner: "p", size },
    ];
    await refreshForecast(ctx, outset(now, { occupied, waiting: all }, { started }));

    expect((await came()).map(({ at, owner }) => [at - begin, owner])).toEqual([
      [-9, "o"],
      [-5, "o"],
      [4, "p"],
      [7, "o"],
    ]);
  });

  test("that is unreadable counts as missing", async () => {
    const { ctx, record } = await worldWithOneWaiting();
    for (const digit of [null, record.uid.slice(0, 1)]) {
      const item = { ...forecastKey("h100", digit), writers: [], kind: "forecast" };
      const broken = {
        ...item,
        at: "now",
        later: 1,
        entries: { [record.uid]: ["soon"] },
        standing: { at: 1 },
      };
      await ctx.table.put(broken);
    }
    const starts: Item = { ...estimateErrorsKey("h100"), writers: [], kind: "forecast", starts: 7 };
    await ctx.table.put(starts);

    expect(await viewForecast(ctx, "h100")).toBeUndefined();
    expect((await readAdvice(ctx, [record])).get(record.uid)?.start).toBeUndefined();
    expect(await listErrors(ctx, "h100")).toEqual([]);
  });

  test("of 2,000 waiting jobs with one first digit fits its item", async () => {
    const world = await memoryWorld();
    await forgetForecasts(world);
    const { ctx, clock } = world;
    const now = clock.now();
    const all = Array.from({ length: 2_000 }, (_, n) => waiting(`0${String(n).padStart(31, "f")}`, now + n));

    await refreshForecast(ctx, outset(now, { occupied: [held(now + HOUR)], waiting: all }));

    const item = await ctx.table.get(forecastKey("h100", "0"));
    expect(Object.keys(item?.entries ?? {})).toHaveLength(2_000);
    expect(JSON.stringify(item).length).toBeLessThan(300_000);
  });
});
