import { describe, expect, test } from "vitest";
import { seededRandom } from "#tests/fixtures/random.ts";
import { type Occupied, type PlanInput, plan, type Waiting } from "./plan.ts";
import { withoutNewMachines } from "./plan-input.ts";
import { reasonText } from "./reasons.ts";

const NOW = Date.UTC(2026, 0, 20, 18);
const HOUR = 3_600_000;

function waiting(
  uid: string,
  units: number,
  options: Partial<Waiting> & { machines?: number; hours?: number } = {},
): Waiting {
  const { machines = 1, hours = 1, ...rest } = options;
  const size = { machines, units, wantedMs: hours * HOUR };
  return { uid, owner: uid, zone: null, queuedAt: NOW, size, ...rest };
}

function held(owner: string, node: string, units: number, hoursLeft: number): Occupied {
  const shares = [{ node, units }];
  return { owner, shares, endsAt: NOW + hoursLeft * HOUR, at: NOW, size: { wantedMs: HOUR } };
}

const defaults = { occupied: [], waiting: [], makeable: [], unitsPerNode: 8, startupMs: 0, head: null, now: NOW };

function getPlan(input: Partial<PlanInput>) {
  const nodes = input.nodes ?? [node("n1"), node("n2")];
  return plan({ ...defaults, ...input, nodes });
}

function node(name: string, zone = "a", units = 8) {
  return { name, zone, units };
}

describe("the grants of a plan", () => {
  test("eight free units on two nodes are not one machine of eight", () => {
    const occupied = [held("x", "n1", 4, 1), held("x", "n2", 4, 1)];

    const { grants, places } = getPlan({ occupied, waiting: [waiting("a", 8)] });

    expect(grants).toEqual([]);
    expect(places[0]).toMatchObject({ position: 1, code: "split", needed: 8, available: 4, startsAt: NOW + HOUR });
  });

  test("a small job goes to the node with the least left over", () => {
    const { grants } = getPlan({ occupied: [held("x", "n2", 5, 1)], waiting: [waiting("a", 2)] });

    expect(grants).toEqual([{ uid: "a", shares: [{ node: "n2", units: 2 }] }]);
  });

  test("two machines come from two nodes", () => {
    const { grants } = getPlan({ waiting: [waiting("a", 8, { machines: 2 })] });

    expect(grants[0]?.shares.map((share) => share.node).sort()).toEqual(["n1", "n2"]);
  });

  test("the machines of a job are of one zone: the one with the least left over, else it waits for one", () => {
    const nodes = [node("a1", "a"), node("b1", "b"), node("a2", "a"), node("b2", "b")];
    const two = [waiting("two", 6, { machines: 2 })];

    const { grants } = getPlan({ nodes, waiting: two, occupied: [held("x", "b1", 2, 1), held("x", "b2", 2, 2)] });
    const split = getPlan({ nodes, waiting: two, occupied: [held("x", "a1", 8, 3), held("x", "b2", 8, 2)] });

    expect(grants[0]?.shares.map((share) => share.node)).toEqual(["b1", "b2"]);
    expect(split).toMatchObject({ grants: [], head: "two", places: [{ code: "elsewhere", startsAt: NOW + 2 * HOUR }] });
  });

  test("a job that waits for the next try in zones without machines keeps its place on the machine that is there", () => {
    const lackingZones = new Map(["a", "b"].map((zone) => [zone, NOW + HOUR / 10]));
    const two = [waiting("two", 8, { machines: 2, queuedAt: NOW - 1 }), waiting("day", 8, { hours: 24 })];
    const nodes = [node("n1")];
    const pool = { nodes, waiting: two, makeable: [{ count: 4, zones: ["a", "b"] }], lackingZones };

    const planned = getPlan(withoutNewMachines({ ...defaults, ...pool }, NOW + HOUR / 10));

    expect(planned).toMatchObject({ grants: [], head: "two" });
  });

  test("a job whose machines exist only in two zones never starts", () => {
    const { places } = getPlan({
      nodes: [node("a1", "a"), node("b1", "b")],
      waiting: [waiting("two", 8, { machines: 2 })],
    });

    expect(places).toMatchObject([{ code: "never", startsAt: null }]);
  });

  test("machines still to be created come in the zone of the job's others, and in a zone of their group", () => {
    const nodes = [node("a1", "a"), node("c1", "c")];
    const group = { makeable: [{ count: 2, zones: ["b", "c"] }] };
    const waits = [waiting("one", 8, { machines: 2 }), waiting("two", 8, { queuedAt: NOW + 1, zone: "b" })];

    const { grants } = getPlan({ nodes, waiting: waits, ...group });

    expect(grants).toEqual([
      {
        uid: "one",
        shares: [
          { node: "c1", units: 8 },
          { node: null, units: 8, zone: "c" },
        ],
      },
      { uid: "two", shares: [{ node: null, units: 8, zone: "b" }] },
    ]);
  });

  test("the parts of one new machine are promised in one zone only", () => {
    const group = { nodes: [], makeable: [{ count: 2, zones: ["a", "b"] }] };
    const [inA, inB] = [waiting("one", 4, { zone: "a" }), waiting("two", 4, { zone: "b", queuedAt: NOW + 1 })];

    const { grants } = getPlan({ ...group, waiting: [inA, inB, waiting("three", 4, { queuedAt: NOW + 2 })] });
    const last = getPlan({ ...group, makeable: [{ count: 1, zones: ["a", "b"] }], waiting: [inA, inB] });

    expect(grants).toEqual([
      { uid: "one", shares: [{ node: null, units: 4, zone: "a" }] },
      { uid: "two", shares: [{ node: null, units: 4, zone: "b" }] },
      { uid: "three", shares: [{ node: null, units: 4 }], created: { machine: 0, zones: ["a"] } },
    ]);
    expect(last).toMatchObject({ grants: [{ uid: "one" }], places: [{ uid: "two", code: "elsewhere" }] });
  });

  test("a new machine offers the zone that a later grant of the same plan fixes", () => {
    const waits = [waiting("any", 4), waiting("b", 4, { zone: "b", queuedAt: NOW + 1 })];

    const { grants } = getPlan({ nodes: [], makeable: [{ count: 1, zones: ["a", "b"] }], waiting: waits });

    expect(grants.map(({ created }) => created?.zones)).toEqual([["b"], undefined]);
  });

  test("a new machine closes with the zone that a grant of the same plan fixes", () => {
    const closesAt = NOW + 2 * HOUR;
    const waits = [waiting("b", 4, { zone: "b" }), waiting("long", 4, { hours: 3, queuedAt: NOW + 1 })];
    const zonesCloseAt = new Map([["b", closesAt]]);

    const { grants, places } = getPlan({
      nodes: [],
      makeable: [{ count: 1, zones: ["a", "b"] }],
      waiting: waits,
      closings: new Map([[closesAt, "zone b"]]),
      zonesCloseAt,
    });

    expect([grants.map(({ uid }) => uid), places.map(({ code }) => code)]).toEqual([["b"], ["closing"]]);
  });

  test("a disk binds its job to its zone", () => {
    const nodes = [node("n1", "a"), node("n2", "b")];

    const { grants } = getPlan({ nodes, waiting: [waiting("a", 1, { zone: "b" })] });

    expect(grants[0]?.shares).toEqual([{ node: "n2", units: 1 }]);
  });

  test("the owner who holds the least comes first, then the longest wait, then the smaller uid", () => {
    const occupied = [held("rich", "n1", 4, 1)];
    const all = [
      waiting("r", 8, { owner: "rich", queuedAt: NOW - 9000 }),
      waiting("young", 8, { queuedAt: NOW - 10 }),
      waiting("old-b", 8, { queuedAt: NOW - 20 }),
      waiting("old-a", 8, { queuedAt: NOW - 20 }),
    ];

    const { grants, places } = getPlan({ occupied, waiting: all });

    expect(grants.map((grant) => grant.uid)).toEqual(["old-a"]);
    expect(places.map((place) => place.uid)).toEqual(["old-b", "young", "r"]);
  });

  test("a grant of this plan counts for its owner's next job", () => {
    const all = [
      waiting("a1", 8, { owner: "a", queuedAt: NOW - 30 }),
      waiting("a2", 8, { owner: "a", queuedAt: NOW - 20 }),
      waiting("b1", 8, { owner: "b", queuedAt: NOW - 10 }),
    ];

    const { grants } = getPlan({ waiting: all });

    expect(grants.map((grant) => grant.uid)).toEqual(["a1", "b1"]);
  });

  test("charges an owner for grants, not for tries", () => {
    const occupied = [held("c", "n1", 4, 5)];
    const big = waiting("b-big", 8, { owner: "b", queuedAt: NOW - 100 });
    const small = ["b", "c"].flatMap((owner) =>
      [1, 2, 3, 4].map((n) => waiting(`${owner}${n}`, 1, { owner, queuedAt: NOW - 50 + n })),
    );

    const { grants, head } = getPlan({ nodes: [node("n1")], occupied, waiting: [big, ...small] });

    expect(head).toBe("b-big");
    expect(grants.map((grant) => grant.uid)).toEqual(["b1", "b2", "b3", "b4"]);
  });

  test("does not charge the units of the reserved start before they are granted", () => {
    const occupied = [held("x", "n1", 8, 5), held("x", "n2", 6, 5)];
    const big = waiting("b-big", 8, { owner: "b", queuedAt: NOW - 100 });
    const small = waiting("b-small", 2, { owner: "b", queuedAt: NOW - 60 });
    const otherWaiting = waiting("c-small", 2, { owner: "c", queuedAt: NOW - 50 });

    const { grants } = getPlan({ occupied, waiting: [big, small, otherWaiting], head: "b-big" });

    expect(grants.map((grant) => grant.uid)).toEqual(["b-small"]);
  });

  test("a job that never fits is charged to no owner, however often it is planned", () => {
    const never = waiting("b-never", 8, { owner: "b", machines: 3, queuedAt: NOW - 100 });
    const all = [
      never,
      waiting("b1", 8, { owner: "b", queuedAt: NOW - 20 }),
      waiting("c1", 8, { owner: "c", queuedAt: NOW - 10 }),
    ];

    for (const head of [null, "b-never"]) {
      const { grants } = getPlan({ nodes: [node("n1")], waiting: all, head });

      expect(grants.map((grant) => grant.uid)).toEqual(["b1"]);
    }
  });

  test("the least recent usage of owners who hold the same comes first, then the longest wait", () => {
    const all = [
      waiting("heavy", 8, { queuedAt: NOW - 90 }),
      waiting("light", 8, { queuedAt: NOW - 20 }),
      waiting("new", 8, { queuedAt: NOW - 10 }),
    ];
    const used = new Map([
      ["heavy", 12.5],
      ["light", 0.5],
    ]);

    const { grants, places } = getPlan({ waiting: all, used });

    expect(grants.map((grant) => grant.uid)).toEqual(["new", "light"]);
    expect(places.map((place) => place.uid)).toEqual(["heavy"]);
  });

  test("held units count before recent usage", () => {
    const occupied = [held("holds", "n1", 1, 1)];
    const all = [waiting("holds-2", 8, { owner: "holds", queuedAt: NOW - 90 }), waiting("heavy", 8)];

    const { grants } = getPlan({ occupied, waiting: all, used: new Map([["heavy", 500]]) });

    expect(grants.map((grant) => grant.uid)).toEqual(["heavy"]);
  });

  test("foreign pods and missing nodes reduce the free units", () => {
    const nodes = [node("n1", "a", 3)];

    const { grants, places } = getPlan({ nodes, waiting: [waiting("a", 4), waiting("b", 2, { queuedAt: NOW + 1 })] });

    expect(grants.map((grant) => grant.uid)).toEqual(["b"]);
    expect(places[0]).toMatchObject({ uid: "a", code: "never", startsAt: null });
  });

  test("a job that fits nowhere because of foreign pods shows that reason and the units that they hold", () => {
    const nodes = [
      { ...node("n1", "a", 3), foreign: 5 },
      { ...node("n2", "a", 0), foreign: 8 },
    ];
    const all = [waiting("fits but for others", 8), waiting("never fits", 8, { machines: 3 })];

    const { places } = getPlan({ nodes, waiting: all });

    expect(places).toMatchObject([
      { uid: "fits but for others", code: "foreign", needed: 8, available: 13, startsAt: null },
      { uid: "never fits", code: "never", needed: 24, available: 2 },
    ]);
    expect(places.map((place) => reasonText(place, "h100"))).toEqual([
      "Need 8 H100 GPUs, but pods of others hold 13 of the existing GPUs - position #1 in queue",
      "Need 24 H100 GPUs, more than the existing nodes have - position #2 in queue",
    ]);
  });

  test("foreign pods on machines of another zone are no reason", () => {
    const nodes = [node("n1", "a", 3), { ...node("n2", "b", 0), foreign: 8 }];

    const { places } = getPlan({ nodes, waiting: [waiting("pinned", 8, { zone: "a" })] });

    expect(places).toMatchObject([{ code: "never" }]);
  });

  test("grants nodes that a group can still create unpinned, existing ones first", () => {
    const two = [waiting("a", 8), waiting("b", 8, { queuedAt: NOW + 1 })];

    const { grants } = getPlan({
      nodes: [node("n1")],
      makeable: [{ count: 1, zones: [] }],
      startupMs: 60_000,
      waiting: two,
    });

    expect(grants.map((grant) => grant.shares)).toEqual([[{ node: "n1", units: 8 }], [{ node: null, units: 8 }]]);
  });

  test("grants no more unpinned than the group may create", () => {
    const granted: Occupied = {
      owner: "x",
      shares: [{ node: null, units: 8 }],
      endsAt: null,
      at: NOW,
      size: { wantedMs: HOUR },
    };

    const { grants, places } = getPlan({
      nodes: [],
      makeable: [{ count: 1, zones: [] }],
      startupMs: 60_000,
      occupied: [granted],
      waiting: [waiting("a", 8)],
    });

    expect(grants).toEqual([]);
    expect(places[0]).toMatchObject({ code: "short", startsAt: NOW + HOUR + 60_000 });
  });
});

test("a holding on two nodes still to be created is released on both", () => {
  const size = { wantedMs: HOUR };
  const on = (endsAt: number): Occupied => ({ owner: "x", shares: [{ node: null, units: 8 }], endsAt, at: NOW, size });

  const { places, head } = getPlan({
    nodes: [],
    makeable: [{ count: 2, zones: [] }],
    occupied: [on(NOW + HOUR), on(NOW + 2 * HOUR)],
    waiting: [waiting("two", 8, { machines: 2 })],
  });

  expect(head).toBe("two");
  expect(places[0]).toMatchObject({ startsAt: NOW + 2 * HOUR });
});

test("takes the first of several nodes with the same free units", () => {
  const nodes = [node("n1", "a", 8), node("n2", "a", 3)];

  const { grants } = getPlan({ nodes, waiting: [waiting("a", 5), waiting("b", 3, { queuedAt: NOW + 1 })] });

  expect(grants.map(({ shares }) => shares[0]?.node)).toEqual(["n1", "n1"]);
});

describe("the head of the queue", () => {
  const occupied = [held("x", "n1", 8, 2), held("x", "n2", 4, 1)];
  const big = waiting("big", 8, { queuedAt: NOW - 100 });

  test("gets a reserved start, and others are backfilled only if they do not delay it", () => {
    const short = waiting("short", 4, { hours: 1, queuedAt: NOW - 50 });
    const long = waiting("long", 4, { hours: 5, queuedAt: NOW - 60 });

    const { grants, places, head } = getPlan({ occupied, waiting: [big, long, short] });

    expect(head).toBe("big");
    expect(grants.map((grant) => grant.uid)).toEqual(["short"]);
    expect(places[0]).toMatchObject({ uid: "big", position: 1, startsAt: NOW + HOUR });
    expect(places[1]).toMatchObject({ uid: "long", position: 2 });
  });

  test("a job that would delay the head shows that the free units are kept for jobs before it", () => {
    const long = waiting("long", 4, { hours: 5, queuedAt: NOW - 60 });

    const { grants, places } = getPlan({ occupied, waiting: [big, long] });

    expect(grants).toEqual([]);
    expect(places[1]).toMatchObject({ uid: "long", position: 2, code: "behind", needed: 4, available: 4 });
  });

  test("keeps its place before a later job whose owner holds less", () => {
    const newcomer = waiting("newcomer", 8, { queuedAt: NOW - 200 });

    const { head, places } = getPlan({ occupied, waiting: [newcomer, big], head: "big" });

    expect(head).toBe("big");
    expect(places.map((place) => place.uid)).toEqual(["big", "newcomer"]);
  });

  test("a job that never fits blocks no others", () => {
    const { grants, head } = getPlan({
      waiting: [waiting("huge", 8, { machines: 3, queuedAt: NOW - 1 }), waiting("a", 8)],
    });

    expect(grants.map((grant) => grant.uid)).toEqual(["a"]);
    expect(head).toBeNull();
  });
});

describe("the reason of the first job in the queue", () => {
  test.each<[string, Partial<PlanInput>, Waiting]>([
    [
      "in the full zone of its disk",
      { nodes: [node("n1", "a"), node("n2", "b")], occupied: [held("x", "n1", 8, 1)] },
      waiting("a", 8, { zone: "a" }),
    ],
    ["with all free units on one machine", { occupied: [held("x", "n1", 8, 1)] }, waiting("a", 4, { machines: 2 })],
  ])("%s, says that free units are elsewhere, not that they are kept for others", (_, input, entry) => {
    const { grants, places } = getPlan({ ...input, waiting: [entry] });

    expect(grants).toEqual([]);
    expect(places[0]).toMatchObject({ position: 1, code: "elsewhere", needed: 8, available: 8 });
  });

  test("never says that units are kept for jobs before it", () => {
    const answer = new Map<string, number>();
    for (let seed = 1; seed <= 300; seed++) {
      const random = seededRandom(seed);
      const upTo = (n: number) => Math.floor(random() * n);
      const nodes = Array.from({ length: 1 + upTo(4) }, (_, n) => node(`n${n}`, upTo(2) ? "a" : "b"));
      const occupied = nodes.flatMap(({ name }, n) => (upTo(4) ? [held(`o${n}`, name, 1 + upTo(8), 1 + upTo(9))] : []));
      const line = Array.from({ length: 1 + upTo(5) }, (_, n) => {
        const options = { machines: 1 + upTo(2), hours: 1 + upTo(9), zone: ["a", "b", null][upTo(3)] ?? null };
        return waiting(`w${n}`, 2 ** upTo(4), { ...options, queuedAt: NOW - upTo(9) });
      });
      const group = { makeable: [{ count: upTo(3), zones: [] }], mostUnpinned: upTo(3) };
      const { places } = getPlan({ nodes, occupied, waiting: line, ...group });
      const code = places[0]?.code ?? "granted";
      answer.set(code, (answer.get(code) ?? 0) + 1);
    }

    expect(answer.get("behind")).toBeUndefined();
    for (const code of ["elsewhere", "short", "split", "making", "never"])
      expect(answer.get(code), code).toBeGreaterThan(0);
  });
});

describe("places of waiting jobs", () => {
  test("positions and starts are consistent", () => {
    const occupied = [held("x", "n1", 8, 1), held("x", "n2", 8, 3)];
    const all = [1, 2, 3].map((n) => waiting(`w${n}`, 8, { queuedAt: NOW + n, hours: 1 }));

    const { places } = getPlan({ occupied, waiting: all });

    expect(places.map((place) => [place.uid, place.position, (place.startsAt ?? 0) - NOW])).toEqual([
      ["w1", 1, HOUR],
      ["w2", 2, 2 * HOUR],
      ["w3", 3, 3 * HOUR],
    ]);
  });

  test("places take turns between owners, as their starts will", () => {
    const occupied = [held("x", "n1", 8, 1), held("x", "n2", 8, 1)];
    const all = [
      ...[1, 2, 3].map((n) => waiting(`a${n}`, 8, { owner: "a", queuedAt: NOW - 50 + n })),
      waiting("b1", 8, { owner: "b", queuedAt: NOW - 10 }),
    ];

    const { places } = getPlan({ occupied, waiting: all });

    expect(places.map((place) => place.uid)).toEqual(["a1", "b1", "a2", "a3"]);
  });

  test("an expired job is expected to end soon, and one that stays long to take as long again", () => {
    const startAfter = (hoursOver: number) => {
      const occupied = [held("x", "n1", 8, -hoursOver)];
      return getPlan({ nodes: [node("n1")], occupied, waiting: [waiting("a", 8)] }).places[0]?.startsAt;
    };

    expect([startAfter(0), startAfter(1 / 360)]).toEqual([NOW + 30_000, NOW + 30_000]);
    expect([startAfter(1), startAfter(6)]).toEqual([NOW + HOUR, NOW + 6 * HOUR]);
  });

  test("without nodes there is no start to promise", () => {
    const { places } = getPlan({ nodes: [], waiting: [waiting("a", 1)] });

    expect(places[0]).toMatchObject({ code: "none", startsAt: null });
  });
});

test("no plan exceeds the units of a node, whatever waits", () => {
  let state = 1;
  const random = (n: number) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % n;
  };
  for (let round = 0; round < 300; round++) {
    const nodes = Array.from({ length: 1 + random(5) }, (_, n) => node(`n${n}`, random(2) ? "a" : "b", random(9)));
    const all = Array.from({ length: random(30) }, (_, n) =>
      waiting(`w${n}`, 1 + random(8), {
        machines: 1 + random(2),
        owner: `o${random(4)}`,
        queuedAt: NOW + random(5),
        hours: 1 + random(5),
      }),
    );

    const { grants, places, freeUnits } = getPlan({ nodes, waiting: all });

    const shares = grants.flatMap((grant) => grant.shares);
    for (const { name, units } of nodes) {
      const used = shares.filter((share) => share.node === name).reduce((sum, share) => sum + share.units, 0);
      expect(used).toBeLessThanOrEqual(units);
    }
    const total = nodes.reduce((sum, { units }) => sum + units, 0);
    expect(freeUnits).toBe(total - shares.reduce((sum, share) => sum + share.units, 0));
    expect([...grants, ...places].map(({ uid }) => uid).sort()).toEqual(all.map(({ uid }) => uid).sort());
    expect(places.map((place) => place.position)).toEqual(places.map((_, index) => index + 1));
  }
});

describe("with a limit on machines still to be created", () => {
  const mostUnpinned = 3;
  const big = waiting("big", 8, { machines: 4, queuedAt: NOW - HOUR });
  const small = waiting("small", 8, { hours: 0.5 });

  test("no job takes them from the first job in the queue, which needs more than are left", () => {
    const { grants, head } = getPlan({
      nodes: [],
      makeable: [{ count: 20, zones: [] }],
      mostUnpinned,
      waiting: [big, small],
      head: "big",
    });

    expect([grants, head]).toEqual([[], "big"]);
  });

  test("others take them while the first job in the queue waits for occupied machines", () => {
    const occupied = [held("x", "n1", 8, 1)];

    const { grants, head } = getPlan({
      nodes: [node("n1")],
      occupied,
      makeable: [{ count: 3, zones: [] }],
      mostUnpinned,
      waiting: [big, small],
      head: "big",
    });

    expect([grants.map(({ uid }) => uid), head]).toEqual([["small"], "big"]);
  });
});

describe("with a drained part", () => {
  const drainedToo = { nodes: [node("n1"), node("n2"), node("n3", "b")], makeable: [] };
  const code = (input: Partial<PlanInput>) =>
    getPlan({ undrained: drainedToo, ...input }).places.map((place) => `${place.uid} ${place.code}`);

  test("a job is said to wait for the drain if it would start there now, or nowhere else ever", () => {
    const occupied = [held("x", "n1", 8, 1), held("y", "n2", 8, 1)];

    expect(code({ occupied, waiting: [waiting("now", 8)] })).toEqual(["now partDrained"]);
    expect(code({ waiting: [waiting("wide", 8, { machines: 2, zone: "b" })] })).toEqual(["wide never"]);
    expect(
      code({ nodes: [node("n1")], occupied: [held("y", "n2", 8, 1)], waiting: [waiting("many", 8, { machines: 2 })] }),
    )
      // n3 is in another zone than n1, so these two machines are n1 and n2, which is drained and in use.
      .toEqual(["many partDrained"]);
    expect(code({ nodes: [], waiting: [waiting("any", 8)] })).toEqual(["any partDrained"]);
  });

  test("a job that would not start there either has its own reason", () => {
    const occupied = [held("x", "n1", 8, 1), held("y", "n2", 8, 1), held("z", "n3", 4, 1)];

    expect(code({ occupied, waiting: [waiting("short", 8)] })).toEqual(["short short"]);
    expect(code({ waiting: [waiting("large", 9)] })).toEqual(["large never"]);
  });

  test("a job that a new machine in a drained zone would take waits for the drain, and takes none elsewhere", () => {
    const undrained = { nodes: [], makeable: [{ count: 2, zones: ["a", "b"] }] };
    const input = { nodes: [], makeable: [{ count: 2, zones: ["b"] }], drainedZones: ["a"], undrained };

    expect(code({ ...input, waiting: [waiting("in-a", 8, { zone: "a" })] })).toEqual(["in-a partDrained"]);
    expect(getPlan({ ...input, waiting: [waiting("in-b", 8, { zone: "b" })] }).grants).toHaveLength(1);
  });

  test("a group whose zones are unknown creates no machine for jobs that must be in a drained zone", () => {
    const undrained = { nodes: [], makeable: [{ count: 1, zones: [] }] };
    const input = { nodes: [], makeable: [{ count: 1, zones: [] }], drainedZones: ["a"], undrained };

    expect(code({ ...input, waiting: [waiting("in-a", 8, { zone: "a" })] })).toEqual(["in-a partDrained"]);
    expect(getPlan({ ...input, waiting: [waiting("anywhere", 8)] }).grants).toHaveLength(1);
  });
});

describe("with a machine that closes by a planned drain", () => {
  const closesAt = NOW + 3 * HOUR;
  const closing = { ...node("n1"), closesAt };
  const closings = new Map([[closesAt, "n1 is drained soon"]]);

  test("a job starts there that ends at that time, and none that ends a millisecond later", () => {
    const size = { machines: 1, units: 4, wantedMs: 3 * HOUR };
    const exact = { ...waiting("exact", 4), size };
    const later = { ...waiting("later", 4), size: { ...size, wantedMs: size.wantedMs + 1 } };

    const { grants, places } = getPlan({ nodes: [closing], closings, waiting: [exact, later] });

    expect(grants).toEqual([{ uid: "exact", shares: [{ node: "n1", units: 4 }] }]);
    expect(places).toMatchObject([{ uid: "later", code: "closing", available: closesAt, startsAt: null }]);
  });

  test("a job that would outlive it has no reserved start, so it holds up no other", () => {
    const jobs = [waiting("long", 8, { hours: 4, queuedAt: NOW - 1 }), waiting("short", 8, { hours: 2 })];

    const { grants, head } = getPlan({ nodes: [closing], closings, waiting: jobs, head: "long" });

    expect([grants.map(({ uid }) => uid), head]).toEqual([["short"], null]);
  });

  test("a start is reserved only where the job ends in time", () => {
    const occupied = [held("x", "n1", 8, 2), held("y", "n2", 8, 5)];
    const jobs = [waiting("two", 8, { hours: 2 }), waiting("one", 8, { hours: 1, queuedAt: NOW + 1 })];

    const { places, head } = getPlan({ nodes: [closing, node("n2")], closings, occupied, waiting: jobs });

    expect(head).toBe("two");
    expect(places).toMatchObject([
      { uid: "two", code: "short", startsAt: NOW + 5 * HOUR },
      { uid: "one", code: "short" },
    ]);
  });

  test("short jobs take the new machines that close first, and leave the others to long ones", () => {
    const group = {
      nodes: [],
      makeable: [
        { count: 1, zones: [], closesAt },
        { count: 1, zones: [] },
      ],
      startupMs: HOUR,
    };
    const jobs = [waiting("short", 8, { queuedAt: NOW - 1 }), waiting("long", 8, { hours: 9 })];

    const { grants, places } = getPlan({ ...group, closings, waiting: [...jobs, waiting("more", 8, { hours: 8 })] });

    expect(grants.map(({ uid }) => uid)).toEqual(["short", "long"]);
    expect(places).toMatchObject([{ uid: "more", startsAt: NOW + 9 * HOUR }]);
  });

  test("a new machine in a zone that closes starts no job that must be there and would outlive it", () => {
    const group = { nodes: [], makeable: [{ count: 1, zones: ["a", "b"] }], zonesCloseAt: new Map([["a", closesAt]]) };
    const job = (hours: number, zone: string | null) => ({
      ...getPlan({ ...group, closings, waiting: [waiting("it", 8, { hours, zone })] }),
    });

    expect(job(4, "a").places).toMatchObject([{ code: "closing", available: closesAt }]);
    for (const { grants } of [job(4, "b"), job(4, null), job(3, "a")]) expect(grants).toHaveLength(1);
  });
});
