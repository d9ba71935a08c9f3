import { expect, test } from "vitest";
import { HOUR_MS } from "../../units.ts";
import type { GroupGrowth } from "../ledger/record.ts";
import { isMadeOutside } from "./pool-parts.ts";

const now = Date.UTC(2026, 0, 20, 18);
const open: GroupGrowth = { name: "p5-a", nodes: 2, mostNodes: 2, zones: ["zone-a"] };
const anywhere = { zone: null, group: undefined };

function isMade(members: readonly GroupGrowth[], place: Parameters<typeof isMadeOutside>[2]): boolean {
  const zones = [...new Set(members.flatMap((member) => member.zones))].sort();
  const growth = { mostNodes: 2, startupMs: 0, longestStartupMs: 0, zones, members };
  return isMadeOutside([{ nodeGroup: "p5-a" }], growth, place, now);
}

test("a Capacity Block creates machines instead of a drained group from its start, and none before", () => {
  const block = { ...open, name: "block", nodes: 0, zones: ["zone-b"] };
  const [early, begun] = [now + HOUR_MS, now].map((startsAt) => [open, { ...block, startsAt }]);

  expect(isMade(early ?? [], anywhere)).toBe(false);
  expect(isMade(early ?? [], { ...anywhere, zone: "zone-b" })).toBe(false);
  expect(isMade(begun ?? [], anywhere)).toBe(true);
  expect(isMade(begun ?? [], { ...anywhere, zone: "zone-b" })).toBe(true);
});

test("a group that is not drained creates machines in its own zones", () => {
  const other = { ...open, name: "p5-b", zones: ["zone-b"] };

  expect(isMade([open, other], anywhere)).toBe(true);
  expect(isMade([open, other], { ...anywhere, zone: "zone-b" })).toBe(true);
  expect(isMade([open, other], { ...anywhere, zone: "zone-a" })).toBe(false);
});
