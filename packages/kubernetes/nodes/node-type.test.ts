import { expect, it } from "vitest";
import { noZone, termsOfType } from "./node-type.ts";

const knownTypes = expect.arrayContaining(["p5.48xlarge", "m7i.8xlarge"]);
const ofType = (type: string) => ({ key: "node.kubernetes.io/instance-type", operator: "In", values: [type] });
const unlabelled = { key: "node.kubernetes.io/instance-type", operator: "NotIn", values: knownTypes };
const rules = [
  { label: "model", value: "h100", instanceType: "p5.48xlarge" },
  { label: "box", value: null, instanceType: "m7i.8xlarge" },
];

it("matches nodes by AWS's label, and by the rules", () => {
  expect(termsOfType("p5.48xlarge", ["a"], rules)).toEqual([
    {
      matchExpressions: [ofType("p5.48xlarge"), { key: "topology.kubernetes.io/zone", operator: "In", values: ["a"] }],
    },
    {
      matchExpressions: [
        unlabelled,
        { key: "model", operator: "In", values: ["h100"] },
        { key: "topology.kubernetes.io/zone", operator: "In", values: ["a"] },
      ],
    },
  ]);
});

it("does not match a node that an earlier rule gives another type", () => {
  expect(termsOfType("m7i.8xlarge", [], rules)).toEqual([
    { matchExpressions: [ofType("m7i.8xlarge")] },
    {
      matchExpressions: [
        unlabelled,
        { key: "model", operator: "NotIn", values: ["h100"] },
        { key: "box", operator: "Exists" },
      ],
    },
  ]);
});

it("matches nodes without a zone for volumes of such a node", () => {
  expect(termsOfType("p5.48xlarge", [noZone], [])).toEqual([
    { matchExpressions: [ofType("p5.48xlarge"), { key: "topology.kubernetes.io/zone", operator: "DoesNotExist" }] },
  ]);
});

it("matches no node of the avoided zones, node groups and names", () => {
  const avoids = [{ zone: "b" }, { zone: noZone }, { nodeGroup: "old" }, { node: "one" }, { node: "two" }];

  expect(termsOfType("p5.48xlarge", [], [], avoids)).toEqual([
    {
      matchExpressions: [
        ofType("p5.48xlarge"),
        { key: "topology.kubernetes.io/zone", operator: "NotIn", values: ["b"] },
        { key: "topology.kubernetes.io/zone", operator: "Exists" },
        { key: "eks.amazonaws.com/nodegroup", operator: "NotIn", values: ["old"] },
      ],
      matchFields: [
        { key: "metadata.name", operator: "NotIn", values: ["one"] },
        { key: "metadata.name", operator: "NotIn", values: ["two"] },
      ],
    },
  ]);
});
