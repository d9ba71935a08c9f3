import { expect, test } from "vitest";
import type { Share } from "../../ports/compute.ts";
import type { NodeGroup } from "../../settings.ts";
import { findGroup, getGrowth, longestToBindMs } from "../capacity/groups.ts";

const MINUTE = 60_000;

const group: NodeGroup = { pool: "h100", mostNodes: 4, startupMs: 5 * MINUTE, zones: ["zone-b", "zone-c"] };
const settings = { nodeGroups: [group, { ...group, pool: "a100", startupMs: 10_000, zones: [] }] };
const ctx = { settings };
const there: Share = { node: "h100-1", units: 8 };
const made: Share = { node: null, units: 8 };

test.each<[string, number, Share[], number]>([
  ["on machines that are there", 5 * MINUTE, [there, there], MINUTE],
  ["on machines still to be made", 5 * MINUTE, [made, made], 10 * MINUTE],
  ["on both kinds of machines", 5 * MINUTE, [there, made], 10 * MINUTE],
  ["on both kinds, the new one first", 5 * MINUTE, [made, there], 10 * MINUTE],
  ["on a machine that is made within a few seconds", 10_000, [made], MINUTE],
  ["on a new machine of a pool without a group", 0, [made], MINUTE],
])("a run %s has the expected time to be bound", (_, startupMs, shares, ms) => {
  expect(longestToBindMs(shares, startupMs)).toBe(ms);
});

test("a pool grows by its group of NODE_GROUPS, or else by the provider's", () => {
  const found = { mostNodes: 9, startupMs: MINUTE, zones: ["zone-a"] };
  expect(findGroup(ctx, "b200")).toBeUndefined();
  expect(getGrowth(ctx, { type: "a100", group: found })?.startupMs).toBe(10_000);
  expect(getGrowth(ctx, { type: "b200", group: found })).toEqual({ ...found, longestStartupMs: MINUTE });
  expect(getGrowth(ctx, { type: "b200" })).toBeUndefined();
});
