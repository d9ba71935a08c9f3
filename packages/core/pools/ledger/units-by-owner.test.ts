import { expect, test } from "vitest";
import type { Occupied } from "../plan/plan.ts";
import { unitsByOwner } from "./units-by-owner.ts";

test("adds the units of all machines of each owner, and visits a list only once", () => {
  let reads = 0;
  const held = (owner: string, ...units: number[]): Occupied => ({
    owner,
    get shares() {
      reads += 1;
      return units.map((each) => ({ node: "n1", units: each }));
    },
    endsAt: null,
    at: 0,
    size: { wantedMs: 1 },
  });
  const occupied = [held("a", 1), held("b", 8, 8), held("a", 2)];

  const input = [1, 2, 3].map(() => [...unitsByOwner(occupied)]);

  expect(input[2]).toEqual([
    ["a", 3],
    ["b", 16],
  ]);
  expect(reads).toBe(3);
  expect(unitsByOwner([...occupied, held("c", 4)]).get("c")).toBe(4);
});
