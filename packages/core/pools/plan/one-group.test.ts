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

test("a job on one machine takes the fullest of any node group", () => {
  expect(find([node("n1", "g1"), node("n2", "g2", "a", 4)], { machines: 1, units: 4, zone: null })).toEqual([1]);
});
