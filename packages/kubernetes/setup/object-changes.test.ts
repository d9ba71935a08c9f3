import { expect, it } from "vitest";
import { compareObjects } from "./object-changes.ts";

const policy = {
  metadata: { name: "berth", uid: "one", resourceVersion: "7", managedFields: [{}], labels: { "a.b/c": "1" } },
  spec: { egress: [{ to: [{ ipBlock: { cidr: "10.0.0.0/8" } }] }], types: ["Egress"] },
  status: { seen: 1 },
};

it("equal objects do not differ, whatever the API server wrote to them", () => {
  const later = { ...policy, metadata: { ...policy.metadata, resourceVersion: "8", uid: "two" }, status: {} };

  expect(compareObjects(policy, later)).toEqual([]);
});

it("each field that differs is named with both values", () => {
  const wanted = {
    metadata: { ...policy.metadata, labels: { "a.b/c": "2" } },
    spec: { egress: [{ to: [{ ipBlock: { cidr: "10.0.0.0/16" } }, { podSelector: {} }] }] },
  };

  expect(compareObjects(policy, wanted)).toEqual([
    { field: 'metadata.labels["a.b/c"]', from: '"1"', to: '"2"' },
    { field: "spec.egress[0].to[0].ipBlock.cidr", from: '"10.0.0.0/8"', to: '"10.0.0.0/16"' },
    { field: "spec.egress[0].to[1]", from: undefined, to: '{"podSelector":{}}' },
    { field: "spec.types", from: '["Egress"]', to: undefined },
  ]);
});

it("a value of another kind is one change", () => {
  expect(compareObjects({ spec: [1] }, { spec: { a: null } })).toEqual([
    { field: "spec", from: "[1]", to: '{"a":null}' },
  ]);
});
