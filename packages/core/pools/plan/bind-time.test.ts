import { expect, test } from "vitest";
import type { Share } from "../../ports/compute.ts";
import type { NodeGroup } from "../../settings.ts";
import { findGroup, longestToBindMs, zoneOfNewMachine } from "../capacity/groups.ts";

const MINUTE = 60_000;

const group: NodeGroup = { pool: "h100", mostNodes: 4, startupMs: 5 * MINUTE, zones: ["zone-b", "zone-c"] };
const settings = { nodeGroups: [group, { ...group, pool: "a100", startupMs: 10_000, zones: [] }] };
const ctx = { settings } as unknown as Parameters<typeof longestToBindMs>[0];
const [there, made]: Share[] = [
  { node: "h100-1", units: 8 },
  { node: null, units: 8 },
];

test.each<[string, string, (Share | undefined)[], number]>([
  ["on machines that are there", "h100", [there, there], MINUTE],
  ["on machines still to be made", "h100", [made, made], 10 * MINUTE],
  ["on both kinds of machines", "h100", [there, made], 10 * MINUTE],
  ["on both kinds, the new one first", "h100", [made, there], 10 * MINUTE],
  ["on a machine that is made within a few seconds", "a100", [made], MINUTE],
  ["on a new machine of a pool without a group", "b200", [made], MINUTE],
])("a run %s has the expected time to be bound", (_, type, shares, ms) => {
  expect(
    longestToBindMs(
      ctx,
      type,
      shares.filter((share) => share !== undefined),
    ),
  ).toBe(ms);
});

test("each pool has a group, and a new machine is in the group's first zone", () => {
  expect(findGroup(ctx, "a100")?.startupMs).toBe(10_000);
  expect(findGroup(ctx, "b200")).toBeUndefined();
  expect(["h100", "a100", "b200"].map((type) => zoneOfNewMachine(ctx, type))).toEqual(["zone-b", null, null]);
});
