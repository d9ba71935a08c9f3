import fc from "fast-check";
import { expect, test } from "vitest";
import { MINUTE_MS } from "../../units.ts";
import { drawnFrom, type Forecast, findGaps, forecast, summarizeTimes } from "../forecast/forecast.ts";
import {
  type Arrival,
  type Arrivals,
  addRun,
  type Durations,
  drawArrivals,
  drawShare,
  noDurations,
  oddsFor,
} from "../forecast/workload.ts";
import { plainPlan } from "./plain-plan-fixture.ts";
import { plainJobs } from "./plain-pool-fixture.ts";
import { plainRun } from "./plain-run-fixture.ts";
import { halts, type Occupied, type PlanInput, plan, reasonCodes } from "./plan.ts";
import { withoutNewMachines } from "./plan-input.ts";

const NOW = Date.UTC(2026, 0, 20, 18);
/** Skips shrinking: finding a smaller pool that fails would take minutes. */
const whole = { endOnFailure: true };
const RUNS = 3;
const ROOM_RUNS = 4;

/** In seconds, so that some times are equal. */
const wantedMs = fc.integer({ min: 1, max: 900 }).map((seconds) => seconds * 40_000);
const owner = fc.constantFrom("a", "b", "c", "d", "e", "f", "g");
const zone = fc.constantFrom("a", "b", null);
const size = fc.record({ machines: fc.constantFrom(1, 1, 1, 2, 3), units: fc.constantFrom(1, 2, 3, 4, 8), wantedMs });
const nodeGroup = fc.constantFrom(undefined, "g1", "g2");
const node = fc.record({
  zone: fc.constantFrom("a", "b"),
  group: nodeGroup,
  units: fc.constantFrom(8, 8, 8, 4, 6),
  foreign: fc.constantFrom(0, 0, 2),
  isDrained: fc.constantFrom(false, false, false, true),
  closesIn: fc.constantFrom(undefined, undefined, 2, 5, 9),
});
const group = fc.record({
  group: nodeGroup,
  isSelectable: fc.constantFrom(undefined, true as const),
  isLacking: fc.constantFrom(undefined, undefined, true as const),
  count: fc.constantFrom(1, 1, 2, 3),
  zones: fc.constantFrom(["a"], ["b"], ["a", "b"], ["b", "c"], []),
  startupMs: fc.constantFrom(undefined, MINUTE_MS, 9 * MINUTE_MS),
  closesIn: fc.constantFrom(undefined, undefined, 2, 5),
});
const job = fc.record({ owner, zone, size, queuedAt: fc.integer({ min: 0, max: 20 }).map((n) => NOW - n * MINUTE_MS) });
const held = fc.record({
  owner,
  wantedMs,
  spent: fc.double({ min: 0, max: 1.1, noNaN: true }),
  units: fc.constantFrom(1, 2, 4, 8),
  at: fc.array(fc.nat({ max: 12 }), { minLength: 1, maxLength: 3 }),
  isActive: fc.constantFrom(true, true, true, false),
});

const pools = fc
  .record({
    nodes: fc.array(node, { maxLength: 8, size: "max" }),
    held: fc.array(held, { maxLength: 25, size: "max" }),
    jobs: fc.array(job, { maxLength: 16, size: "max" }),
    groups: fc.array(group, { maxLength: 3 }),
    lackingZones: fc.constantFrom(undefined, undefined, new Map([["b", NOW + 9 * MINUTE_MS]])),
    scarceZones: fc.constantFrom(undefined, new Set(["a"]), new Set(["b", "c"])),
    mostUnpinned: fc.constantFrom(Infinity, 1, 2),
    retryAt: fc.constantFrom(null, null, null, NOW + 6 * MINUTE_MS),
    unreadable: fc.constantFrom(0, 0, 0, 1),
    head: fc.constantFrom(null, "w0", "w1", "w2"),
    used: fc.dictionary(owner, fc.integer({ max: 9 })),
    closing: fc.option(fc.record({ zone: fc.constantFrom("a", "b", "c", null) })),
    closed: fc.oneof({ weight: 7, arbitrary: fc.constant(null) }, fc.constantFrom(...halts)),
  })
  .map(({ nodes, held: holdings, jobs, used, retryAt, lackingZones, closing, groups, ...rest }): PlanInput => {
    const there = nodes.map(({ closesIn, ...node }, n) => ({
      ...node,
      ...(closing && closesIn && { closesAt: closingAt(closesIn) }),
      name: `n${n}`,
      units: node.units - Math.min(node.units, node.foreign),
    }));
    const makeable = groups.map(({ closesIn, ...machines }) => {
      return { ...machines, ...(closing && closesIn && { closesAt: closingAt(closesIn) }) };
    });
    const input = {
      ...rest,
      makeable,
      ...(lackingZones && makeable.length > 0 && { lackingZones }),
      nodes: there.filter(({ isDrained }) => !isDrained).map(({ isDrained: _, ...entry }) => entry),
      ...(closing && {
        closings: new Map([2, 5, 9].map((hours) => [closingAt(hours), ""])),
        zonesCloseAt: new Map(closing.zone === null ? [] : [[closing.zone, closingAt(2)]]),
      }),
      ...(there.some(({ isDrained }) => isDrained) && { undrained: { makeable, nodes: there } }),
      occupied: occupiedOn(there, holdings),
      waiting: jobs.map((job, n) => ({ ...job, uid: `w${n}` })),
      unitsPerNode: 8,
      startupMs: 4 * MINUTE_MS,
      used: new Map(Object.entries(used)),
      now: NOW,
    };
    return retryAt === null ? input : withoutNewMachines(input, retryAt);
  });

function closingAt(hours: number): number {
  return NOW + hours * 60 * MINUTE_MS;
}

/** Returns the shares that fit on machines, drained ones included. The others are on machines still to be created. */
function occupiedOn(nodes: readonly { name: string; units: number }[], holdings: readonly HeldValue[]): Occupied[] {
  const free = new Map(nodes.map(({ name, units }) => [name, units]));
  return holdings.flatMap((holding): Occupied[] => {
    const at = NOW - Math.round(holding.wantedMs * holding.spent);
    const names = [...new Set(holding.at)].map((n) => nodes[n]?.name ?? null);
    const shares = names.map((name) => ({ node: name, units: holding.units }));
    if (names.some((name) => name !== null && (free.get(name) ?? 0) < holding.units)) return [];
    for (const name of names) if (name !== null) free.set(name, (free.get(name) ?? 0) - holding.units);
    return [
      { owner: holding.owner, shares, at, endsAt: holding.isActive ? at + holding.wantedMs : null, size: holding },
    ];
  });
}

type HeldValue = typeof held extends fc.Arbitrary<infer Value> ? Value : never;

const durations = fc
  .array(fc.record({ owner, share: fc.double({ min: 0, max: 1.2, noNaN: true }) }), { maxLength: 60 })
  .map((runs): Durations => {
    return runs.reduce(
      (knownRun, run) => addRun(knownRun, { ...run, tookMs: run.share * 1e7, wantedMs: 1e7 }),
      noDurations,
    );
  });

const arrivals = fc
  .array(fc.record({ owner, size, zone, minutes: fc.integer({ min: 1, max: 600 }) }), { maxLength: 8 })
  .map((came): Arrivals => {
    return came
      .map(({ minutes, ...entry }): Arrival => ({ ...entry, at: NOW - minutes * MINUTE_MS }))
      .sort((a, b) => a.at - b.at);
  });

test("a plan equals that of a planner without shortcuts", () => {
  const codes = new Set<string>();
  let passed = 0;
  fc.assert(
    fc.property(pools, (pool) => {
      const found = plan(pool);

      expect(found).toEqual(plainPlan(pool));
      for (const { code } of found.places) codes.add(code);
      passed += found.head !== null ? found.grants.length : 0;
    }),
    { numRuns: 1_500, ...whole },
  );
  expect([...codes].sort()).toEqual([...reasonCodes].sort());
  expect(passed).toBeGreaterThan(1_000);
});

test("a forecast equals that of runs without shortcuts", () => {
  let [starts, gaps] = [0, 0];
  fc.assert(
    fc.property(pools, durations, arrivals, fc.nat({ max: 99 }), (pool, knownDurations, came, seed) => {
      const input = { plan: pool, durations: knownDurations, arrivals: came, seed, runs: RUNS };
      const found = forecast({ ...input, clock: { monotonic: () => 0 } });

      expect(found).toEqual(plainForecast(input, found.room));
      starts += found.waiting.filter(({ p90 }) => p90 !== null && p90 > NOW).length;
      gaps += found.room.flatMap((room) => room.gaps ?? []).length;
    }),
    { numRuns: 150, ...whole },
  );
  expect(starts).toBeGreaterThan(200);
  expect(gaps).toBeGreaterThan(50);
});

interface PlainInput {
  readonly plan: PlanInput;
  readonly durations: Durations;
  readonly arrivals: Arrivals;
  readonly seed: number;
}

function plainForecast(input: PlainInput, room: Forecast["room"]): Forecast {
  const { plan: pool, seed } = input;
  if (pool.closed) return { at: NOW, waiting: [], room: [], later: NOW };
  const request = room.map(({ machines, units, zone: where }) => ({ machines, units, zone: where }));
  const getRun = (run: number, came: Arrivals, needs: typeof request) => {
    const drawn = drawnFrom(seed, run);
    const coming = drawArrivals(came, NOW, drawnFrom(seed, 1_000 + run));
    return plainRun(pool, {
      coming: coming.map(({ at, ...entry }) => ({ ...entry, uid: "", comesAt: at })),
      zones: coming.map((arrival) => arrival.zone),
      asked: needs,
      until: NOW + 7 * 24 * 60 * MINUTE_MS,
      tookMs(who, wanted, spent) {
        const share = drawShare(oddsFor(input.durations, who), drawn(), wanted > 0 ? spent / wanted : 0);
        return share < 1 ? share * wanted : wanted + input.durations.overMs;
      },
    });
  };
  const finding = Array.from({ length: ROOM_RUNS }, (_, run) => getRun(RUNS + run, [], request));
  const isIdle = finding.every(({ jobs }) => jobs.length === 0);
  const starting = Array.from({ length: isIdle ? 0 : RUNS }, (_, run) => getRun(run, input.arrivals, []));
  const uids = plainJobs(pool).map(({ uid }) => uid);
  const able = uids.filter((uid) => finding[0]?.jobs.some((job) => job.uid === uid));
  const getStart = ({ startsAt }: (typeof starting)[number], uid: string) =>
    [...startsAt].find(([job]) => job.uid === uid)?.[1] ?? Infinity;
  const later = Math.min(...[...starting, ...finding].map(({ wentTo }) => wentTo));
  return {
    at: NOW,
    waiting: able.map((uid) => ({ uid, ...summarizeTimes(starting.map((run) => getStart(run, uid))) })),
    room: request.map((need, index) => {
      const expected = summarizeTimes(finding.map(({ roomAt }) => roomAt[index] ?? Infinity));
      const found = finding.map(({ gaps, roomAt }) => ({
        found: gaps[index] ?? [],
        roomAt: roomAt[index] ?? Infinity,
      }));
      return { ...need, ...expected, gaps: findGaps(found, expected) };
    }),
    later: later === Infinity ? null : later,
  };
}
