import { expect, test } from "vitest";
import { type FreeNode, freeUnits } from "./free-units.ts";

const two = { machines: 2, units: 8, zone: null };
const node = (name: string | null, group: string | undefined, zone = "a", free = 8): FreeNode => {
  return { name, group, zone, free };
};

const find = (nodes: readonly FreeNode[], need = two) => freeUnits(nodes).find(need);

test("the machines of one job are of one node group, if one has enough", () => {
  expect(find([node("n1", "g1"), node("n2", "g2"), node("n3", "g2")])).toEqual([1, 2]);
  expect(find([node("n1", undefined), node("n2", "g2"), node("n3", "g2")])).toEqual([1, 2]);
  expect(find([node("n1", "g1"), node("n2", "g2"), node("n3", "g3", "b"), node("n4", "g3", "b")])).toEqual([2, 3]);
});

test("machines of several node groups in one zone hold a job that no group can hold", () => {
  expect(find([node("n1", "g1"), node("n2", "g2", "b"), node("n3", "g3")])).toEqual([0, 2]);
  expect(find([node("n1", "g1"), node("n2", "g1", "b"), node("n3", "g2", "c")])).toBeUndefined();
});

test("new machines are of one node group, if one may create enough", () => {
  expect(find([node(null, "g1"), node(null, "g2"), node(null, "g2")])).toEqual([1, 2]);
  expect(find([node("n1", "g1"), node(null, "g2"), node(null, "g1")])).toEqual([0, 2]);
});

test("machines that exist are used before new ones, although they are of several node groups", () => {
  expect(find([node("n1", "g1"), node("n2", "g2"), node(null, "g1"), node(null, "g2")])).toEqual([0, 1]);
});

const selectable = (group: string) => ({ ...node(null, group), isSelectable: true as const });

test("a job that waits for a machine anyway takes those of one node group that it may name", () => {
  expect(find([node("n1", "g1"), selectable("g2"), selectable("g2")])).toEqual([1, 2]);
  expect(find([node("n1", "g1"), node(null, "g2"), node(null, "g2")])).toEqual([0, 1]);
  expect(find([node("n1", "g1"), node("n2", "g2"), selectable("g2"), selectable("g2")])).toEqual([0, 1]);
  expect(find([node("n1", "g1"), selectable("g2"), selectable("g2"), selectable("g1")])).toEqual([0, 3]);
});

test("a share names the node group if all machines of the job are of one that it may name", () => {
  const take = (nodes: readonly FreeNode[], need = two) => freeUnits(nodes).take(need)?.shares;

  const named = { node: null, units: 8, zone: "a", group: "g1" };
  expect(take([selectable("g1"), selectable("g1")])).toEqual([named, named]);
  expect(take([node("n1", "g1"), selectable("g1")])).toEqual([{ node: "n1", units: 8 }, named]);
  expect(take([node("n1", "g2"), selectable("g1")])?.[1]).toEqual({ node: null, units: 8, zone: "a" });
  expect(take([selectable("g1"), node(null, "g1")])?.[0]).toEqual({ node: null, units: 8, zone: "a" });
  expect(take([selectable("g1")], { ...two, machines: 1 })).toEqual([{ node: null, units: 8 }]);
});

test("new machines come in a zone that lacked none lately, if one may create enough", () => {
  const made = (zones: readonly string[], more: Partial<FreeNode> = {}): FreeNode => {
    return { name: null, zone: null, zones, free: 8, scarceZones: new Set(["a"]), ...more };
  };
  const zoneOf = (nodes: readonly FreeNode[]) =>
    freeUnits(nodes)
      .take(two)
      ?.shares.map(({ zone }) => zone);

  expect(zoneOf([made(["a", "b"]), made(["a", "b"])])).toEqual(["b", "b"]);
  expect(zoneOf([made(["a", "b"]), made(["a"])])).toEqual(["a", "a"]);
  expect(zoneOf([made(["a"]), made(["a"]), made(["b"]), made(["b"])])).toEqual(["b", "b"]);
  expect(find([node("n1", "g1"), node("n2", "g1"), made(["b"]), made(["b"])])).toEqual([0, 1]);
});

test("a job on one machine takes the fullest of any node group", () => {
  expect(find([node("n1", "g1"), node("n2", "g2", "a", 4)], { machines: 1, units: 4, zone: null })).toEqual([1]);
});
