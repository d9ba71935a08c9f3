import { expect, test } from "vitest";
import { type Occupied, type PlanInput, plan, type Waiting } from "../plan/plan.ts";
import { moveText, planMoves } from "./eta-drivers.ts";

const NOW = Date.UTC(2026, 0, 20, 18);
const HOUR = 3_600_000;

function waiting(uid: string, owner: string, queuedAt: number): Waiting {
  return { uid, owner, zone: null, queuedAt: NOW + queuedAt, size: { machines: 1, units: 4, wantedMs: HOUR } };
}

function held(owner: string, units: number): Occupied {
  return { owner, shares: [{ node: "n1", units }], endsAt: NOW + HOUR, at: NOW, size: { wantedMs: HOUR } };
}

test("only ends move the head, while owners who hold less also move the others", () => {
  const input: PlanInput = {
    nodes: [{ name: "n1", zone: "a", units: 8 }],
    makeable: [],
    unitsPerNode: 8,
    startupMs: 0,
    head: null,
    now: NOW,
    occupied: [held("a", 5), held("b", 2), held("c", 1)],
    waiting: [
      waiting("c1", "c", 1),
      waiting("b1", "b", 2),
      waiting("a1", "a", 3),
      waiting("b2", "b", 4),
      waiting("d1", "d", 5),
    ],
  };
  const { places, head } = plan(input);

  const moves = planMoves({ ...input, head }, places);

  expect(head).toBe("d1");
  expect([...moves]).toEqual([
    ["d1", { code: "ends", count: 4 }],
    ["c1", { code: "owners", count: 1 }],
    ["b1", { code: "owners", count: 2 }],
    ["a1", { code: "owners", count: 3 }],
    ["b2", { code: "owners", count: 3 }],
  ]);
});

test("describes what may move a start", () => {
  expect(moveText({ code: "owners", count: 1 })).toBe("1 owner holds less: new jobs of theirs would start before it");
  expect(moveText({ code: "owners", count: 3 })).toBe("3 owners hold less: new jobs of theirs would start before it");
  expect(moveText({ code: "ends", count: 8 })).toContain("reserved");
  expect(moveText({ code: "none", count: 0 })).toBe("");
});
