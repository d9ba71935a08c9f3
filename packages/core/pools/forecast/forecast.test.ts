import { describe, expect, test } from "vitest";
import { seededRandom } from "#tests/fixtures/random.ts";
import { type Occupied, type PlanInput, plan, type Waiting } from "../plan/plan.ts";
import { type ForecastInput, forecast } from "./forecast.ts";
import { addRun, type Durations, noDurations } from "./workload.ts";

const NOW = Date.UTC(2026, 0, 20, 18);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function poolWith(options: Partial<PlanInput>): PlanInput {
  const nodes = [{ name: "n1", zone: "a", units: 8 }];
  const rest = { occupied: [], waiting: [], makeable: [], unitsPerNode: 8, startupMs: 0, head: null, now: NOW };
  return { nodes, ...rest, ...options };
}

function waiting(uid: string, units: number, options: Partial<Waiting> & { hours?: number; machines?: number } = {}) {
  const { hours = 1, machines = 1, ...rest } = options;
  return { uid, owner: uid, zone: null, queuedAt: NOW, size: { machines, units, wantedMs: hours * HOUR }, ...rest };
}

function held(node: string | null, units: number, endsAt: number, wantedMs = 2 * HOUR): Occupied {
  return { owner: "x", shares: [{ node, units }], endsAt, at: endsAt - wantedMs, size: { wantedMs } };
}

function getForecast(pool: PlanInput, options: Partial<ForecastInput> = {}) {
  return forecast({ plan: pool, durations: noDurations, seed: 1, clock: { monotonic: () => 0 }, ...options });
}

function listStarts(pool: PlanInput, options?: Partial<ForecastInput>): Map<string, number | null> {
  return new Map(getForecast(pool, options).waiting.map(({ uid, p50 }) => [uid, p50]));
}

/** Returns the starts of repeated plans, one after every end, if each job uses its whole time. */
function startsByPlans(pool: PlanInput): Map<string, number> {
  const starts = new Map<string, number>();
  const used = new Map(pool.used);
  let input = pool;
  for (;;) {
    const { grants, head } = plan({ ...input, used });
    const value = new Map(grants.map(({ uid, shares }) => [uid, shares]));
    const began = input.waiting.filter(({ uid }) => value.has(uid));
    for (const { uid } of began) starts.set(uid, input.now);
    const occupied = began
      .sort((a, b) => grants.findIndex(({ uid }) => uid === a.uid) - grants.findIndex(({ uid }) => uid === b.uid))
      .map(({ uid, owner, size }): Occupied => {
        const shares = value.get(uid) ?? [];
        return { owner, shares, endsAt: input.now + size.wantedMs, at: input.now, size };
      });
    const running = [...input.occupied, ...occupied];
    const left = input.waiting.filter(({ uid }) => !value.has(uid));
    if (left.length === 0 || running.length === 0) return starts;
    const now = Math.min(...running.map(({ endsAt }) => endsAt ?? Infinity));
    const decayed = 0.5 ** ((now - input.now) / (24 * HOUR));
    for (const [owner, hours] of used) used.set(owner, hours * decayed);
    for (const { owner, shares, at } of running.filter(({ endsAt }) => endsAt === now)) {
      const units = shares.reduce((sum, share) => sum + share.units, 0);
      used.set(owner, (used.get(owner) ?? 0) + (units * (now - at)) / HOUR);
    }
    input = { ...input, head, now, occupied: running.filter(({ endsAt }) => endsAt !== now), waiting: left };
  }
}

/** Returns a partly used pool with waiting jobs. All times are whole minutes. */
function seededPool(seed: number): PlanInput {
  const random = seededRandom(seed);
  const upTo = (n: number) => Math.floor(random() * n);
  const nodes = Array.from({ length: 1 + upTo(6) }, (_, n) => {
    return { name: `n${n}`, zone: upTo(2) ? "a" : "b", units: upTo(4) ? 8 : 4 };
  });
  const free = nodes.map(({ units }) => units);
  const occupied = Array.from({ length: upTo(12) }, (): Occupied[] => {
    const index = upTo(nodes.length);
    const units = Math.min(free[index] ?? 0, 1 + upTo(8));
    if (units === 0) return [];
    free[index] = (free[index] ?? 0) - units;
    const wantedMs = (1 + upTo(600)) * MINUTE;
    const endsAt = NOW + (1 + upTo(wantedMs / MINUTE)) * MINUTE;
    const shares = [{ node: `n${index}`, units }];
    return [{ owner: `o${upTo(5)}`, shares, endsAt, at: endsAt - wantedMs, size: { wantedMs } }];
  }).flat();
  const several = upTo(3) ? 1 : 3;
  return poolWith({
    nodes,
    occupied,
    waiting: Array.from({ length: upTo(30) }, (_, n) => {
      const size = { machines: 1 + upTo(several), units: 2 ** upTo(4), wantedMs: (1 + upTo(500)) * MINUTE };
      const zone = upTo(4) ? null : "a";
      return { uid: `w${n}`, owner: `o${upTo(5)}`, zone, queuedAt: NOW - upTo(20), size };
    }),
    used: new Map([0, 1].map((n) => [`o${n}`, upTo(9)])),
    head: upTo(3) ? null : "w1",
  });
}

describe("jobs that use their whole time", () => {
  test("start when plans after every end would start them", () => {
    let starts = 0;
    for (let seed = 1; seed <= 600; seed++) {
      const pool = seededPool(seed);

      const found = listStarts(pool, { runs: 1 });

      const real = [...startsByPlans(pool)].sort();
      expect([...found].filter(([, start]) => start !== null).sort(), `seed ${seed}`).toEqual(real);
      starts += real.length;
    }
    expect(starts).toBeGreaterThan(5_000);
  });
});

describe("an estimate", () => {
  test("is a range if jobs end early, and one time if they use their whole time", () => {
    const pool = poolWith({
      occupied: [held("n1", 8, NOW + 2 * HOUR)],
      waiting: [1, 2, 3].map((n) => waiting(`w${n}`, 8, { queuedAt: NOW + n, hours: 2 })),
    });

    const early = getForecast(pool, { durations: endsAt(0.1, 0.3, 0.5, 0.7, 0.9) }).waiting;
    const full = getForecast(pool, { durations: endsAt(1) }).waiting;

    expect(full.map(({ p50, p90 }) => [p50, p90])).toEqual([2, 4, 6].map((n) => [NOW + n * HOUR, NOW + n * HOUR]));
    for (const [index, { p50, p90 }] of early.entries()) {
      expect(p90).toBeGreaterThan(p50 ?? 0);
      expect(p90).toBeLessThan(full[index]?.p50 ?? 0);
    }
  });

  test("draws the same for the same plan, and differently for the next", () => {
    const pool = poolWith({ occupied: [held("n1", 8, NOW + 2 * HOUR)], waiting: [waiting("a", 8)] });
    const durations = endsAt(0.1, 0.5, 0.9);

    const first = getForecast(pool, { durations, seed: 7 });

    expect(getForecast(pool, { durations, seed: 7 })).toEqual(first);
    expect(getForecast(pool, { durations, seed: 8 })).not.toEqual(first);
  });

  test("expects no end in the past for a job that has run for long", () => {
    const pool = poolWith({ occupied: [held("n1", 8, NOW + HOUR, 10 * HOUR)], waiting: [waiting("a", 8)] });

    const [a] = getForecast(pool, { durations: endsAt(0.1, 0.5, 0.92) }).waiting;

    expect(a?.p50).toBeGreaterThan(NOW);
    expect(a?.p90).toBeLessThanOrEqual(NOW + HOUR / 2);
  });

  test("includes the time that capacity is kept beyond the end, except for jobs that no longer have it", () => {
    const durations = { ...endsAt(1), overMs: 5 * MINUTE };
    const pool = poolWith({ occupied: [held("n1", 8, NOW + HOUR)], waiting: [waiting("a", 8)] });
    const over = poolWith({ occupied: [held("n1", 8, NOW - 10_000)], waiting: [waiting("a", 8)] });
    const long = poolWith({ occupied: [held("n1", 8, NOW - HOUR)], waiting: [waiting("a", 8)] });

    expect(listStarts(pool, { durations }).get("a")).toBe(NOW + HOUR + 5 * MINUTE);
    expect(listStarts(over, { durations }).get("a")).toBe(NOW + 30_000);
    expect(listStarts(long, { durations }).get("a")).toBe(NOW + HOUR);
  });

  test("backfills no job whose wanted time would delay the head, though it may end earlier", () => {
    const nodes = [1, 2].map((n) => ({ name: `n${n}`, zone: "a", units: 8 }));
    const occupied = [held("n1", 8, NOW + 2 * HOUR), held("n2", 4, NOW + HOUR)];
    const big = waiting("big", 8, { queuedAt: NOW - 2 });
    const long = waiting("long", 4, { queuedAt: NOW - 1, hours: 5 });

    const starts = listStarts(poolWith({ nodes, occupied, waiting: [big, long] }), { durations: endsAt(0.1) });

    expect(starts.get("big")).toBeLessThan(NOW + HOUR);
    expect(starts.get("long")).toBeGreaterThanOrEqual(starts.get("big") ?? Infinity);
  });

  test("waits for the zone of the disk, and for several machines of one zone at once", () => {
    const nodes = ["a", "b", "b2"].map((name) => ({ name: `n-${name}`, zone: name.slice(0, 1), units: 8 }));
    const occupied = [held("n-a", 8, NOW + HOUR), held("n-b", 8, NOW + 3 * HOUR), held("n-b2", 8, NOW + 4 * HOUR)];

    const pinned = listStarts(poolWith({ nodes, occupied, waiting: [waiting("b", 1, { zone: "b" })] }));
    const two = listStarts(poolWith({ nodes, occupied, waiting: [waiting("two", 8, { machines: 2 })] }));

    expect(pinned.get("b")).toBe(NOW + 3 * HOUR);
    expect(two.get("two")).toBe(NOW + 4 * HOUR);
  });

  test("includes the start-up time of a new machine once, also for the one on its way", () => {
    const granted: Occupied = {
      ...held(null, 4, 0),
      endsAt: null,
      at: NOW - 2 * MINUTE,
      size: { wantedMs: HOUR },
    };
    const all = [
      waiting("beside", 4),
      waiting("new", 8, { queuedAt: NOW + 1 }),
      waiting("after", 8, { queuedAt: NOW + 2 }),
    ];

    const starts = listStarts(
      poolWith({
        nodes: [],
        makeable: [{ count: 2, zones: [] }],
        startupMs: 5 * MINUTE,
        occupied: [granted],
        waiting: all,
      }),
    );

    expect(starts.get("beside")).toBe(NOW + 3 * MINUTE);
    expect(starts.get("new")).toBe(NOW + 5 * MINUTE);
    expect(starts.get("after")).toBe(NOW + 3 * MINUTE + HOUR);
  });

  test("counts the start-up time of the node group whose machine is next, or else that of the type", () => {
    const makeable = [
      { count: 1, zones: ["a"], startupMs: 2 * MINUTE },
      { count: 1, zones: ["b"] },
    ];
    const granted = { ...held(null, 4, NOW + 2 * HOUR), endsAt: null, at: NOW - MINUTE };
    const zoned = ["a", "b"].map((zone) => waiting(zone, 4, { zone }));

    const starts = listStarts(poolWith({ nodes: [], makeable, startupMs: 5 * MINUTE, waiting: zoned }));
    const beside = listStarts(
      poolWith({ nodes: [], makeable, startupMs: 5 * MINUTE, waiting: zoned, occupied: [granted] }),
    );

    expect([...starts.values()]).toEqual([NOW + 2 * MINUTE, NOW + 5 * MINUTE]);
    expect([...beside.values()]).toEqual([NOW + MINUTE, NOW + 5 * MINUTE]);
  });

  test("is missing for jobs that never fit, and while nothing is started", () => {
    const pool = poolWith({ waiting: [waiting("huge", 8, { machines: 3 }), waiting("a", 1)] });

    expect([...listStarts(pool).keys()]).toEqual(["a"]);
    expect(getForecast({ ...pool, closed: "paused" })).toMatchObject({ waiting: [], later: NOW });
  });

  test("is never for a job that no known end makes room for", () => {
    const nodes = [{ name: "n1", zone: "a", units: 8 }];

    const { waiting: found, later } = getForecast(
      poolWith({ nodes, occupied: [held("n1", 8, NOW + 8 * 24 * HOUR)], waiting: [waiting("a", 8)] }),
    );

    expect(found).toEqual([{ uid: "a", p50: null, p90: null }]);
    expect(later).toBe(NOW + 7 * 24 * HOUR);
  });

  test("stops after a number of starts, and shows its horizon", () => {
    const all = Array.from({ length: 40 }, (_, n) => waiting(`w${n}`, 8, { queuedAt: NOW + n }));

    const { waiting: found, later } = getForecast(poolWith({ waiting: all }), { mostStarts: 10 });

    expect(found.map(({ p50 }) => p50 !== null)).toEqual(all.map((_, n) => n < 10));
    expect(later).toBe(NOW + 9 * HOUR);
  });

  test("stops at its time limit, each run after its part of it", () => {
    const all = Array.from({ length: 800 }, (_, n) => waiting(`w${n}`, 8, { queuedAt: NOW + n, hours: 0.1 }));
    let reads = 0;
    const clock = { monotonic: () => reads++ * 10 };

    const { waiting: found, later } = getForecast(poolWith({ waiting: all }), { clock, budgetMs: 1_000 });

    const reached = found.filter(({ p50 }) => p50 !== null);
    expect(reached.length).toBeGreaterThan(256);
    expect(reached.length).toBeLessThan(700);
    expect(later).toBeGreaterThan(NOW);
    expect(reads).toBeLessThan(150);
  });

  test("exists for every job even on a machine too slow to simulate arrivals", () => {
    const arrivals = Array.from({ length: 5 }, (_, n) => {
      return { at: NOW - (5 - n) * 1_000, owner: "new", zone: null, size: { machines: 1, units: 1, wantedMs: HOUR } };
    });
    const pool = poolWith({
      occupied: [held("n1", 4, NOW + 10 * HOUR, 11 * HOUR), held("n1", 4, NOW + 5 * MINUTE)],
      waiting: [waiting("head", 8, { queuedAt: NOW - 3 }), waiting("beside", 4), waiting("last", 8, { hours: 2 })],
      head: "head",
    });
    let reads = 0;
    const clock = { monotonic: () => reads++ * 1_000 };

    const cut = getForecast(pool, { arrivals, clock });

    expect(cut.waiting).toEqual(getForecast(pool).waiting);
    expect(cut.waiting.map(({ p50 }) => p50)).toEqual([NOW + 10 * HOUR, NOW + 5 * MINUTE, NOW + 11 * HOUR]);
    expect(cut.later).toBeNull();
  });

  test("is later for an owner who holds more than the arrivals, except for the reserved start", () => {
    const size = { machines: 1, units: 8, wantedMs: HOUR };
    const arrivals = Array.from({ length: 30 }, (_, n) => {
      return { at: NOW - (30 - n) * 10 * MINUTE, owner: `new${n % 3}`, zone: null, size };
    });
    const pool = poolWith({
      occupied: [held("n1", 8, NOW + HOUR)],
      waiting: [1, 2, 3].map((n) => waiting(`w${n}`, 8, { owner: "x", queuedAt: NOW - 9 + n })),
    });

    const alone = listStarts(pool);
    const crowded = listStarts(pool, { arrivals });

    expect(crowded.get("w1")).toBe(alone.get("w1"));
    expect(crowded.get("w3")).toBeGreaterThan((alone.get("w3") ?? 0) + HOUR);
    expect([...crowded.keys()]).toEqual(["w1", "w2", "w3"]);
  });

  test("is not moved by arrivals that never fit", () => {
    const arrivals = Array.from({ length: 9 }, (_, n) => {
      return { at: NOW - n * HOUR, owner: "new", zone: "b", size: { machines: 1, units: 8, wantedMs: 1 } };
    });
    const pool = poolWith({ occupied: [held("n1", 4, NOW + HOUR)], waiting: [waiting("a", 8)] });

    expect(getForecast(pool, { arrivals }).waiting).toEqual(getForecast(pool).waiting);
  });

  test("finds room after all waiting jobs, for each common size and zone", () => {
    const nodes = ["a", "b", "b2"].map((name) => ({ name: `n-${name}`, zone: name.slice(0, 1), units: 8 }));
    const occupied = [held("n-a", 6, NOW + HOUR), held("n-b", 8, NOW + 3 * HOUR), held("n-b2", 8, NOW + 4 * HOUR)];

    const { room } = getForecast(poolWith({ nodes, occupied, waiting: [waiting("one", 1)] }));

    const at = new Map(room.map(({ machines, units, zone, p50 }) => [`${machines}x${units} ${zone}`, p50]));
    expect(at.get("1x1 null")).toBe(NOW);
    expect(at.get("1x4 null")).toBe(NOW + HOUR);
    expect(at.get("1x4 b")).toBe(NOW + 3 * HOUR);
    expect(at.get("2x8 null")).toBe(NOW + 4 * HOUR);
    expect(at.get("3x8 null")).toBeNull();
    expect(at.has("4x8 null")).toBe(false);
  });
});

/** Returns durations with these fractions, equally often. */
function endsAt(...shares: number[]): Durations {
  let durations = noDurations;
  for (let n = 0; n < 20 * shares.length; n++) {
    durations = addRun(durations, { owner: "x", tookMs: shares[n % shares.length] ?? 1, wantedMs: 1 });
  }
  return durations;
}

describe("the budget of a forecast", () => {
  /** Counts the runs: each asks once for the durations of each owner. */
  function runsWithin(budgetMs: number, isOver: (input: number) => boolean): { runs: number; known: number } {
    let [request, drawn] = [0, 0];
    const durations: Durations = {
      ...noDurations,
      get owners() {
        drawn += 1;
        return {};
      },
    };
    const pool = poolWith({ occupied: [held("n1", 8, NOW + HOUR)], waiting: [waiting("w", 8)] });
    const clock = { monotonic: () => (isOver(request++) ? budgetMs + 1 : 0) };
    const found = getForecast(pool, { durations, clock, budgetMs });
    const owners = 2;
    return { runs: drawn / owners, known: found.waiting.filter(({ p90 }) => p90 !== null).length };
  }

  test("allows four runs without arrivals and sixteen others if no time passes", () => {
    expect(runsWithin(1_000, () => false)).toEqual({ runs: 20, known: 1 });
  });

  test("allows one run if it is spent before the first, and returns its result", () => {
    expect(runsWithin(1_000, (input) => input > 0)).toEqual({ runs: 1, known: 1 });
  });

  test("starts no further run once it is spent in the middle", () => {
    const { runs } = runsWithin(1_000, (input) => input > 8);

    expect(runs).toBeGreaterThan(1);
    expect(runs).toBeLessThan(10);
  });
});
