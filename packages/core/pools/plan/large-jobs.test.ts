import { expect, test } from "vitest";
import { seededRandom } from "#tests/fixtures/random.ts";
import { type Occupied, type PlanInput, plan, type Waiting } from "./plan.ts";

const NOW = Date.UTC(2026, 0, 20, 18);
const HOUR = 3_600_000;
const STEP = HOUR / 2;
/** Far beyond the end of every job that runs at first. */
const LONGEST = 24 * HOUR;

/** The pool after one of its plans. */
interface Planned {
  readonly now: number;
  /** Jobs without a grant. */
  readonly left: readonly Waiting[];
  readonly free: ReadonlyMap<string, number>;
  /** When the large job may start, or NaN once it has. */
  readonly startsAt: number;
  readonly shares: readonly string[];
}

const names = (zone: string, count: number) => Array.from({ length: count }, (_, n) => `${zone}${n}`);

/** Plans a pool every half hour: a large job waits for all machines of one zone, and small jobs never stop coming. */
function* crowdedPool(seed: number, machines: number): Generator<Planned, void> {
  const random = seededRandom(seed);
  const pick = (count: number) => 1 + Math.floor(random() * count);
  const nodes = [...names("a", machines), ...names("b", machines - 1)].map((name) => {
    return { name, zone: name.slice(0, 1), units: 8 };
  });
  let occupied: readonly Occupied[] = nodes.map(({ name }) => {
    const wantedMs = pick(16) * STEP;
    return { owner: name, shares: [{ node: name, units: 8 }], endsAt: NOW + wantedMs, at: NOW, size: { wantedMs } };
  });
  const size = { machines, units: 8, wantedMs: HOUR };
  let waiting: Waiting[] = [{ uid: "large", owner: "large", zone: null, queuedAt: NOW, size }];
  let head: string | null = null;
  for (let now = NOW, count = 0; now <= NOW + LONGEST; now += STEP) {
    occupied = occupied.filter(({ endsAt }) => (endsAt ?? 0) > now);
    for (let n = pick(6); n > 0; n--) {
      const uid = `small-${count++}`;
      const wants = { machines: 1, units: 2 ** (pick(4) - 1), wantedMs: pick(24) * STEP };
      waiting.push({ uid, owner: uid, zone: null, queuedAt: now, size: wants });
    }
    const rest = { makeable: [], unitsPerNode: 8, startupMs: 0, now } satisfies Partial<PlanInput>;
    const planned = plan({ nodes, occupied, waiting, head, ...rest });
    const granted = new Map(planned.grants.map(({ uid, shares }) => [uid, shares]));
    const begun = waiting
      .filter(({ uid }) => granted.has(uid))
      .map(({ uid, owner, size }): Occupied => {
        return { owner, shares: granted.get(uid) ?? [], endsAt: now + size.wantedMs, at: now, size };
      });
    occupied = [...occupied, ...begun];
    waiting = waiting.filter(({ uid }) => !granted.has(uid));
    head = planned.head;
    const used = (name: string) => occupied.flatMap(({ shares }) => shares).filter(({ node }) => node === name);
    yield {
      now,
      left: waiting,
      free: new Map(nodes.map(({ name }) => [name, 8 - used(name).reduce((sum, { units }) => sum + units, 0)])),
      startsAt: planned.places.find(({ uid }) => uid === "large")?.startsAt ?? Number.NaN,
      shares: (granted.get("large") ?? []).map(({ node }) => node ?? ""),
    };
    if (granted.has("large")) return;
  }
}

const worlds = [2, 3, 4, 6, 8].flatMap((machines) => [1, 2, 3, 4, 5].map((seed) => [machines, seed] as const));

test.each(worlds)(
  "a job of %i machines starts when it was told, however many small jobs come (%i)",
  (machines, seed) => {
    const plans = [...crowdedPool(seed, machines)];

    const [first] = plans;
    const last = plans.at(-1);
    expect(last?.now).toBe(first?.startsAt);
    expect(last?.shares.toSorted()).toEqual(names("a", machines));
    expect(last?.left.length).toBeGreaterThan(0);
  },
);

test.each(worlds)(
  "machines that wait for a job of %i machines take all jobs that end before it starts (%i)",
  (machines, seed) => {
    for (const { now, left, free, startsAt } of crowdedPool(seed, machines)) {
      if (Number.isNaN(startsAt)) continue;
      const most = Math.max(...free.values());
      const idle = left.filter(
        ({ uid, size }) => uid !== "large" && size.units <= most && now + size.wantedMs <= startsAt,
      );
      expect(idle.map(({ uid }) => uid)).toEqual([]);
    }
  },
);
