import { expect, test } from "vitest";
import type { Node } from "../objects.ts";
import { isKeptForOthers, podTolerations, type Toleration } from "./tolerations.ts";

const taint = { key: "dedicated", value: "research", effect: "NoSchedule" };

function nodeWith(...taints: NonNullable<Node["spec"]["taints"]>): Node {
  const metadata = { name: "a", uid: "a", resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" };
  return { metadata, spec: { taints } };
}

test.each<[string, Toleration[], boolean]>([
  ["none", [], true],
  ["its key, value and effect", [{ key: "dedicated", value: "research", effect: "NoSchedule" }], false],
  ["its key and value", [{ key: "dedicated", value: "research" }], false],
  ["its key", [{ key: "dedicated" }], false],
  ["another value", [{ key: "dedicated", value: "web" }], true],
  ["an empty value", [{ key: "dedicated", value: "" }], true],
  ["another effect", [{ key: "dedicated", value: "research", effect: "NoExecute" }], true],
  ["another key", [{ key: "dedicate" }], true],
])("a tainted node is kept for others by pods that tolerate %s: %3$s", (_, tolerations, isKept) => {
  expect(isKeptForOthers(nodeWith(taint), tolerations)).toBe(isKept);
});

test("each taint of a node counts, and a taint without a value has an empty one", () => {
  const both = nodeWith(taint, { key: "team", effect: "NoExecute" });

  expect(isKeptForOthers(both, [{ key: "dedicated" }])).toBe(true);
  expect(isKeptForOthers(both, [{ key: "dedicated" }, { key: "team", value: "" }])).toBe(false);
});

test("pods tolerate the taint of GPU nodes, and those that are named", () => {
  const more: Toleration[] = [{ key: "dedicated", value: "research", effect: "NoSchedule" }, { key: "team" }];

  expect(podTolerations(more)).toEqual([
    { key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" },
    { key: "dedicated", operator: "Equal", value: "research", effect: "NoSchedule" },
    { key: "team", operator: "Exists" },
  ]);
});
