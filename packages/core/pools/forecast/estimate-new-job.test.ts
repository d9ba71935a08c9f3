import { describe, expect, test } from "vitest";
import { type Occupied, type PlanInput, plan, type Waiting } from "../plan/plan.ts";
import { alternativesTo, type EstimateRequest, estimateFor, takeQueueSnapshot } from "./estimate-new-job.ts";
import { forecast } from "./forecast.ts";
import { noDurations } from "./workload.ts";

const NOW = Date.UTC(2026, 0, 20, 18);
const HOUR = 3_600_000;

const empty = { occupied: [], waiting: [], makeable: [], unitsPerNode: 8, startupMs: 0, head: null, now: NOW };
const still = { monotonic: () => 0 };

function held(node: string, units: number, hours: number, owner = "x"): Occupied {
  const endsAt = NOW + hours * HOUR;
  return { owner, shares: [{ node, units }], endsAt, at: NOW - HOUR, size: { wantedMs: endsAt - NOW + HOUR } };
}

const sameZone = ["n-a", "n-b"].map((name) => ({ name, zone: "a", units: 8 }));

function waiting(uid: string, units: number, owner = uid): Waiting {
  return { uid, owner, zone: null, queuedAt: NOW - 1_000, size: { machines: 1, units, wantedMs: HOUR } };
}

function standing(options: Partial<PlanInput>, factor = 1) {
  const nodes = ["a", "b"].map((zone) => ({ name: `n-${zone}`, zone, units: 8 }));
  const input = { nodes, ...empty, ...options };
  const found = forecast({ plan: input, durations: noDurations, seed: 1, clock: still });
  return takeQueueSnapshot(input, plan(input), found, factor);
}

function ask(units: number, options: Partial<EstimateRequest> = {}): EstimateRequest {
  return { owner: "me", machines: 1, units, zone: null, wantedMs: HOUR, ...options };
}

/** Returns the start that a simulated plan gives to a job that really waits. */
function realStart(input: Partial<PlanInput>, question: EstimateRequest): number | null | undefined {
  const entry = { ...waiting("mine", question.units, question.owner), zone: question.zone, queuedAt: NOW };
  const all = standing({ ...input, waiting: [...(input.waiting ?? []), entry] });
  return all.turns.find(({ need, position }) => need.units === question.units && position === all.waiting)?.p50;
}

/** Returns the forecast start of a waiting job that wants this many hours. */
function findStart({ nodes = [], ...rest }: Partial<PlanInput>, uid: string, hours: number): number | null | undefined {
  const input = { nodes, ...empty, ...rest };
  const all = input.waiting.map((waiting) => {
    return waiting.uid === uid ? { ...waiting, size: { ...waiting.size, wantedMs: hours * HOUR } } : waiting;
  });
  const found = forecast({ plan: { ...input, waiting: all }, durations: noDurations, seed: 1, clock: still });
  return found.waiting.find((entry) => entry.uid === uid)?.p50;
}

describe("an estimate for a job not yet submitted", () => {
  test("is now if there is room", () => {
    const now = standing({ occupied: [held("n-a", 4, 3)] });

    expect(estimateFor(now, ask(8))).toEqual({
      position: 1,
      p50: NOW,
      p90: NOW,
      code: "now",
      needed: 8,
      available: 12,
      after: NOW,
    });
    expect(estimateFor(now, ask(8, { zone: "a" }))).toMatchObject({ p50: NOW + 3 * HOUR, code: "elsewhere" });
  });

  test("is the time after all waiting jobs if no earlier turn fits", () => {
    const input = { occupied: [held("n-a", 8, 3), held("n-b", 8, 5)], waiting: [waiting("w", 8)] };

    const answer = estimateFor(standing(input), ask(8));

    expect(answer).toMatchObject({ position: 2, p50: NOW + 4 * HOUR, code: "short", needed: 8, available: 0 });
    expect(answer.p50).toBe(realStart(input, ask(8)));
  });

  test("takes its turn before those of owners who hold more", () => {
    const occupied = [held("n-a", 8, 3, "rich"), held("n-b", 8, 5, "rich")];
    const all = [waiting("head", 8, "other"), ...[1, 2, 3].map((n) => waiting(`r${n}`, 8, "rich"))];

    const before = estimateFor(standing({ occupied, waiting: all }), ask(8));
    const rich = estimateFor(standing({ occupied, waiting: all }), ask(8, { owner: "rich" }));

    expect(before).toMatchObject({ position: 2, p50: NOW + 4 * HOUR });
    expect(rich).toMatchObject({ position: 5, p50: NOW + 6 * HOUR });
  });

  test("uses the start of a waiting job only if that job requests as much", () => {
    const occupied = [held("n-a", 1, 1, "rich"), held("n-a", 7, 3, "rich"), held("n-b", 8, 5, "rich")];
    const small = standing({ nodes: sameZone, occupied, waiting: [waiting("small", 1, "rich")] });
    const large = standing({ nodes: sameZone, occupied, waiting: [waiting("large", 8, "rich")] });

    expect(small.turns).toMatchObject([{ p50: NOW + HOUR }]);
    expect(estimateFor(small, ask(8))).toMatchObject({ position: 1, p50: NOW + 3 * HOUR });
    expect(estimateFor(small, ask(8, { machines: 2 }))).toMatchObject({ p50: NOW + 5 * HOUR });
    expect(estimateFor(large, ask(8))).toMatchObject({ position: 1, p50: NOW + 3 * HOUR });
  });

  test("does not say that too little is free if enough is free on several machines", () => {
    const parts = standing({ nodes: sameZone, occupied: [held("n-a", 4, 3), held("n-b", 4, 5)] });

    expect(estimateFor(parts, ask(8))).toMatchObject({ code: "elsewhere", needed: 8, available: 8 });
    expect(estimateFor(parts, ask(8, { machines: 2 }))).toMatchObject({ code: "short", needed: 16, available: 8 });
  });

  test("says that two machines of different zones never fit a job of two", () => {
    expect(estimateFor(standing({}), ask(8, { machines: 2 }))).toMatchObject({
      p50: null,
      code: "never",
      available: 2,
    });
  });

  test("counts its owner's units although more than 400 owners hold some", () => {
    const nodes = Array.from({ length: 500 }, (_, n) => ({ name: `m${n}`, zone: "a", units: 8 }));
    const occupied = nodes.map(({ name }, n) => held(name, n === 499 ? 8 : 4, 5, n === 499 ? "me" : `o${n}`));
    const all = [waiting("w", 8, "o1")];

    const { owners } = standing({ nodes, occupied, waiting: all });

    expect(Object.keys(owners)).toHaveLength(400);
    expect(owners).toMatchObject({ me: 8 });
  });

  test("does not use the start of a job whose owner holds as much or less", () => {
    const occupied = [held("n-a", 8, 1, "x"), held("n-b", 8, 5, "me")];
    const equal = standing({ occupied, waiting: [waiting("theirs", 8, "x")] });

    const answer = estimateFor(equal, ask(8));

    expect(equal.turns).toMatchObject([{ units: 8, p50: NOW + HOUR }]);
    expect(answer).toMatchObject({ position: 2, p50: NOW + 2 * HOUR });
  });

  test("widens the latest start like those of waiting jobs", () => {
    const answer = estimateFor(standing({ occupied: [held("n-a", 8, 2), held("n-b", 8, 2)] }, 1.5), ask(8));

    expect(answer).toMatchObject({ p50: NOW + 2 * HOUR, p90: NOW + 3 * HOUR });
  });

  test("says if the job never fits, if there are no machines, and if nothing is started", () => {
    expect(estimateFor(standing({}), ask(8, { machines: 3 }))).toMatchObject({
      p50: null,
      code: "never",
      needed: 24,
      available: 2,
    });
    expect(estimateFor(standing({ nodes: [] }), ask(8))).toMatchObject({ p50: null, code: "none" });
    expect(estimateFor(standing({ closed: "drained" }), ask(1))).toMatchObject({ p50: null, code: "drained" });
    expect(
      estimateFor(standing({ nodes: [], makeable: [{ count: 1, zones: [] }], startupMs: HOUR }), ask(8)),
    ).toMatchObject({
      p50: NOW + HOUR,
    });
  });

  test("says that foreign pods leave no room if only they are in the way", () => {
    const theirs = standing({ nodes: [{ name: "n-a", zone: "a", units: 2, foreign: 6 }], occupied: [] });

    expect(estimateFor(theirs, ask(8))).toMatchObject({ p50: null, code: "foreign", needed: 8, available: 6 });
    expect(estimateFor(theirs, ask(8, { machines: 2 }))).toMatchObject({ p50: null, code: "never", available: 1 });
  });

  test("says that a job bound to another zone never fits machines that can still be created", () => {
    const made = standing({ nodes: [], makeable: [{ count: 1, zones: ["a"] }], startupMs: HOUR });

    expect(estimateFor(made, ask(8, { zone: "b" }))).toMatchObject({ p50: null, code: "never" });
    expect(estimateFor(made, ask(8, { zone: "a" }))).toMatchObject({ p50: NOW + HOUR });
  });

  test.each<[string, number, number, number, string[]]>([
    ["once those before it have passed", 1, 1, 65, ["E", "F", "G"]],
    ["once enough is free beside the first in line", 2, 1, 65, []],
    ["and not where it would delay that", 2, 9, 11 * 60, []],
    ["after those who passed with it", 2, 7, 125, ["E", "F", "G"]],
  ])("is backfilled later, like waiting jobs: %s", (_, units, hours, minutes, names) => {
    const nodes = [{ name: "n-a", zone: "a", units: 8 }];
    const occupied = [held("n-a", 4, 10, "A"), held("n-a", 4, 1 / 12, "B")];
    const before = { ...waiting("C", 8), queuedAt: NOW - 9_000 };
    const all = [before, { ...waiting("D", 4), queuedAt: NOW - 5_000 }, ...names.map((uid) => waiting(uid, 1))];
    const pool = { nodes, occupied, waiting: all, head: "C" };
    const mine = ask(units, { wantedMs: hours * HOUR });

    const answer = estimateFor(standing(pool), mine);
    const submitted = findStart(
      { ...pool, waiting: [...all, { ...waiting("mine", units), queuedAt: NOW }] },
      "mine",
      hours,
    );

    expect(answer.p50).toBe(NOW + minutes * 60_000);
    expect(submitted).toBe(answer.p50);
  });

  test("shows the horizon of the forecast if its start is later", () => {
    const days = 9 * 24;
    const input = { occupied: [held("n-a", 8, days), held("n-b", 8, days)] };

    const answer = estimateFor(standing(input), ask(8));

    expect(answer).toMatchObject({ p50: null, p90: null, code: "later", after: NOW + 7 * 24 * HOUR });
  });
});

describe("alternatives to a size", () => {
  const smaller = [1, 2, 4].map((units) => ask(units));

  test("contain the largest size that starts now, and no smaller one that starts no earlier", () => {
    const now = standing({ occupied: [held("n-a", 4, 3), held("n-b", 8, 5)] });

    const found = alternativesTo(now, ask(8), smaller);

    expect(found.map(({ question, answer }) => [question.units, answer.p50])).toEqual([[4, NOW]]);
  });

  test("begin with the earliest start", () => {
    const now = standing({ occupied: [held("n-a", 4, 3), held("n-a", 3, 1), held("n-b", 8, 5)] });

    const found = alternativesTo(now, ask(8), smaller);

    expect(found.map(({ question, answer }) => [question.units, ((answer.p50 ?? 0) - NOW) / HOUR])).toEqual([
      [1, 0],
      [4, 1],
    ]);
  });

  test("are empty if the whole size starts now", () => {
    expect(alternativesTo(standing({}), ask(8), smaller)).toEqual([]);
  });
});

test("stores less than 64 KB for 10,000 nodes and 2,000 waiting jobs", () => {
  const nodes = Array.from({ length: 10_000 }, (_, n) => ({ name: `n${n}`, zone: `zone-${n % 6}`, units: 8 }));
  const name = (n: number) => `owner#${String(n).padStart(32, "0")}`;
  const occupied = nodes.map((node, n) => held(node.name, 8, 1 + (n % 9), name(n)));
  const all = Array.from({ length: 2_000 }, (_, n) => waiting(`w${n}`, 1 + (n % 8), name(n)));

  const kept = standing({ nodes, occupied, waiting: all });

  expect(kept.turns.length).toBeGreaterThan(200);
  expect(JSON.stringify(kept).length).toBeLessThan(65_536);
});
