import fc from "fast-check";
import { expect, test } from "vitest";
import type { Share } from "../../ports/compute.ts";
import { allNodes, machinesOutsideZones, type NewMachines, placeOpenShares } from "./new-machines.ts";
import { type Occupied, plan } from "./plan.ts";
import { withoutNewMachines } from "./plan-input.ts";

const a: NewMachines = { group: "a", count: 1, zones: ["a"] };
const b: NewMachines = { group: "b", count: 2, zones: ["b"] };
const wide: NewMachines = { group: "wide", count: 2, zones: ["a", "b"] };
const anywhere: NewMachines = { count: 1, zones: [] };

const share = (units: number, zone?: string): Share => ({ node: null, units, ...(zone !== undefined && { zone }) });

/** Returns zone, zones and free units of each machine after these shares, as `a 8` or `a|b 8`. */
function place(makeable: readonly NewMachines[], shares: readonly Share[], rest: object = {}): string[] {
  const open = shares.map((share) => ({ share, endsAt: 10 }));
  const { nodes } = placeOpenShares({ makeable, unitsPerNode: 8, ...rest }, open);
  return nodes.map(({ zone, zones, free }) => `${zone ?? zones?.join("|") ?? "any"} ${free}`);
}

test("a share for a zone counts on the group with the fewest zones there", () => {
  expect(place([wide, a], [share(8, "a")])).toEqual(["a|b 8", "a|b 8", "a 0"]);
  expect(place([anywhere, wide], [share(8, "a")])).toEqual(["any 8", "a 0", "a|b 8"]);
});

test("a share for any zone counts where shares for a zone leave room", () => {
  expect(place([a, b], [share(8), share(8, "a")])).toEqual(["a 0", "b 0", "b 8"]);
});

test("a share for a zone fixes the zone of its machine, so that the rest is not promised in another", () => {
  expect(place([wide], [share(4, "a"), share(4, "b")])).toEqual(["a 4", "b 4"]);
  expect(place([wide], [share(4, "a"), share(4, "a")])).toEqual(["a 0", "a|b 8"]);
  expect(place([anywhere], [share(4, "c")])).toEqual(["c 4"]);
});

test("a job of several new machines may come in each zone of a node group, also once its machine is promised in one", () => {
  const size = { machines: 2, units: 8, wantedMs: 1 };
  const promised = { owner: "x", shares: [share(8, "b")], endsAt: null, at: 0, size };
  const { grants } = plan({
    nodes: [{ name: "n1", zone: "a", units: 8 }],
    makeable: [
      { ...wide, count: 1, zones: ["b", "c"] },
      { ...anywhere, count: 2 },
    ],
    scarceZones: new Set(["a", "b"]),
    occupied: [promised],
    waiting: [{ uid: "w", owner: "y", zone: null, queuedAt: 0, size }],
    head: null,
    startupMs: 1,
    unitsPerNode: 8,
    now: 1,
  });

  expect(grants[0]?.shares).toEqual([share(8, "c"), share(8, "c")]);
});

test("a share for a node group counts there, and before those for its zone", () => {
  const other: NewMachines = { ...a, group: "other" };
  const ofGroup: Share = { node: null, units: 8, zone: "a", group: "other" };

  expect(place([a, other], [ofGroup])).toEqual(["a 8", "a 0"]);
  expect(place([other, a], [share(8, "a"), ofGroup])).toEqual(["a 0", "a 0"]);
  expect(place([other, b], [ofGroup, { ...ofGroup, units: 1 }])).toEqual(["a 0", "b 8", "b 8"]);
});

test("a share for a node group that is no longer listed counts on the others of its zone", () => {
  expect(place([a, b], [{ node: null, units: 8, zone: "a", group: "gone" }])).toEqual(["a 0", "b 8", "b 8"]);
});

test("a share for a zone in which no group creates a machine counts nowhere", () => {
  expect(place([a, b], [share(8, "c")])).toEqual(["a 8", "b 8", "b 8"]);
});

test("a share for a drained zone counts on the group that would have made its machine there", () => {
  const [open] = [machinesOutsideZones(["b"], { ...wide, count: 1 }) ?? wide];

  expect(place([open], [share(8, "b")], { drainedZones: ["b"] })).toEqual(["b 0"]);
  expect(place([open], [], { drainedZones: ["b"] })).toEqual(["a 8"]);
  expect(place([a, open], [share(8, "b")], { drainedZones: ["b"] })).toEqual(["a 8", "b 0"]);
});

test("machines of a zone that lacks machines offer nothing until the next try", () => {
  const lackingZones = new Map([["a", 5]]);

  expect(place([a, wide], [share(4, "a")], { lackingZones })).toEqual(["a 0", "b 8", "b 8"]);
  expect(place([a, wide], [share(4, "a")], { lackingZones, retryAt: 5 })).toEqual(["a 4", "a|b 8", "a|b 8"]);
});

test("a share counts on a machine that stays open until its job ends, if there is one", () => {
  const closing = { ...b, closesAt: 9 };

  expect(place([closing, wide], [share(8)])).toEqual(["b 8", "b 8", "a|b 0", "a|b 8"]);
  expect(place([closing], [share(8)])).toEqual(["b 0", "b 8"]);
});

test("larger shares are placed first, so that shares which a plan fitted fit again in any order", () => {
  const large: NewMachines = { count: 2, zones: ["a"] };

  expect(place([large], [share(2), share(3), share(6), share(5)])).toEqual(["a 0", "a 0"]);
  expect(place([wide], [share(2, "b"), share(2, "b"), share(6, "a"), share(6, "b")])).toEqual(["a 2", "b 0"]);
});

test("no new machine has free units until the next try, whichever shares wait for some", () => {
  const zones = fc.constantFrom(undefined, "a", "b");
  const shares = fc.array(fc.record({ units: fc.integer({ min: 1, max: 8 }), zone: zones }), { maxLength: 12 });
  fc.assert(
    fc.property(shares, (waiting) => {
      const occupied = waiting.map(({ units, zone }): Occupied => {
        return { owner: "o", shares: [share(units, zone)], endsAt: null, at: 0, size: { wantedMs: 1 } };
      });
      const pool = { nodes: [], waiting: [], unitsPerNode: 8, startupMs: 1, head: null, now: 0 };

      const input = withoutNewMachines({ ...pool, occupied, makeable: [{ ...wide, count: 4 }] }, 5);

      expect(allNodes(input).nodes.filter(({ free }) => free > 0)).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});
