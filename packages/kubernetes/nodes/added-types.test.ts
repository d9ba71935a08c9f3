import { expect, test, vi } from "vitest";
import { sumRequests } from "../client/quantities.ts";
import type { Node, Pod } from "../objects.ts";
import { computeQuantities, countUnits, foreignUnits } from "./machine-share.ts";
import { findOffer, markOffer } from "./node-offer.ts";
import { termsOfType, typeOfNode } from "./node-type.ts";

vi.hoisted(() => {
  process.env.MACHINE_TYPES = [
    "g6e.12xlarge=l40s:4:48:384",
    "p4d-mig=a100-1g.5gb:56:96:1152:nvidia.com/mig-1g.5gb",
    "trn1.32xlarge=trainium:16:128:512:aws.amazon.com/neuron",
  ].join();
});

const rules = [
  { label: "box", value: null, instanceType: "m7i.8xlarge" },
  { label: "nvidia.com/mig.config", value: "all-1g.5gb", instanceType: "p4d-mig" },
  { label: "model", value: "h100", instanceType: "p5.48xlarge" },
];
const typeLabel = "node.kubernetes.io/instance-type";

function nodeWith(labels: Readonly<Record<string, string>>, allocatable: Readonly<Record<string, string>> = {}): Node {
  const conditions = [{ type: "Ready", status: "True" }];
  return {
    metadata: { name: "n", uid: "u", resourceVersion: "1", labels },
    spec: {},
    status: { allocatable, conditions },
  } as unknown as Node;
}

const mig = { [typeLabel]: "p4d.24xlarge", "nvidia.com/mig.config": "all-1g.5gb" };
const machines: [string, Readonly<Record<string, string>>, string | undefined][] = [
  ["of an added type", { [typeLabel]: "g6e.12xlarge" }, "g6e.12xlarge"],
  ["of AWS's type", { [typeLabel]: "p4d.24xlarge" }, "p4d.24xlarge"],
  ["with MIG", mig, "p4d-mig"],
  ["with MIG and a label of an earlier rule", { ...mig, box: "1" }, "p4d-mig"],
  [
    "of AWS's type, with labels of rules for AWS's types",
    { [typeLabel]: "p4d.24xlarge", model: "h100" },
    "p4d.24xlarge",
  ],
  ["without a known type", { [typeLabel]: "k3s", model: "h100" }, "p5.48xlarge"],
  ["without a known type, and with two labels of rules", { box: "1", model: "h100" }, "m7i.8xlarge"],
  ["of no rule", { [typeLabel]: "x9.metal" }, undefined],
];

test.each(machines)("a machine %s has a type, and only the selector of that type matches it", (_, labels, type) => {
  const selected = ["g6e.12xlarge", "p4d.24xlarge", "p4d-mig", "p5.48xlarge", "m7i.8xlarge"].filter((name) => {
    return termsOfType(name, [], rules).some(({ matchExpressions }) => matchExpressions.every(matches(labels)));
  });

  expect(typeOfNode(nodeWith(labels), rules)?.name).toBe(type);
  expect(selected).toEqual(type === undefined ? [] : [type]);
});

/** Kubernetes, "Assigning Pods to Nodes", operators. */
function matches(labels: Readonly<Record<string, string>>) {
  return ({ key, operator, values = [] }: { key: string; operator: string; values?: readonly string[] }) => {
    const value = labels[key];
    if (operator === "Exists") return value !== undefined;
    if (operator === "DoesNotExist") return value === undefined;
    return (value !== undefined && values.includes(value)) === (operator === "In");
  };
}

test("a share of a machine requests the resource that counts its GPUs", () => {
  const run = { instanceType: "p4d-mig", shares: [{ node: "n", units: 2 }], gpusPerMachine: 2, resources: null };

  expect(computeQuantities(run)).toEqual({ cpu: "3000m", memory: "37917Mi", "nvidia.com/mig-1g.5gb": "2" });
});

test("a machine offers the units that this resource counts, less those of other pods", () => {
  const allocatable = { cpu: "96", memory: "1100Gi", "nvidia.com/mig-1g.5gb": "56" };
  const offer = findOffer(nodeWith(mig, allocatable), { nodeTypes: rules });

  expect(offer?.node).toMatchObject({ instanceType: "p4d-mig", units: 56 });
  expect(offer && countUnits({ ...allocatable, "nvidia.com/gpu": "8" }, offer.type)).toBe(56);
  expect(offer && foreignUnits(offer.type, allocatable, [{ gpus: 3, cpus: 1, memoryMb: 1 }])).toBe(3);
});

test("a listing shows a change of the number of such GPUs", () => {
  const mark = (count: string) =>
    markOffer(nodeWith(mig, { cpu: "96", memory: "1100Gi", "nvidia.com/mig-1g.5gb": count }), { nodeTypes: rules });

  expect(mark("56")).toBe(mark("56"));
  expect(mark("57")).not.toBe(mark("56"));
});

test("the GPUs of a pod are those of each resource that counts some", () => {
  const requests = { "nvidia.com/gpu": "1", "nvidia.com/mig-1g.5gb": "2", "vendor.test/gpu": "4" };
  const pod = { spec: { containers: [{ name: "c", resources: { requests } }] } } as unknown as Pod;

  expect(sumRequests(pod).gpus).toBe(3);
});
