import type { Nodegroup } from "@aws-sdk/client-eks";
import { expect, test, vi } from "vitest";
import { checkNodeGroups } from "./check-node-groups.ts";

vi.hoisted(() => {
  process.env.MACHINE_TYPES = [
    "g6e.12xlarge=l40s:4:48:384",
    "p4d-mig=a100-1g.5gb:56:96:1152:nvidia.com/mig-1g.5gb",
    "trn1.32xlarge=trainium:16:128:512:aws.amazon.com/neuron",
  ].join();
});

const needs = {
  cluster: "gpus",
  stage: "dev",
  isOwn: false,
  ownGroups: [],
  account: undefined,
  roles: [],
  isPrivate: false,
  hasGateway: false,
  tolerations: [],
  nodeTypes: [{ label: "nvidia.com/mig.config", value: "all-1g.5gb", instanceType: "p4d-mig" }],
  otherPools: [],
};
const group = (changes: Partial<Nodegroup>): Nodegroup => ({
  nodegroupName: "one",
  status: "ACTIVE",
  scalingConfig: { minSize: 0, maxSize: 4, desiredSize: 0 },
  ...changes,
});

test("a group of Trainium is not checked for NVIDIA's driver and device plugin", () => {
  const trainium = group({ instanceTypes: ["trn1.32xlarge"], amiType: "AL2023_x86_64_NEURON" });

  expect(checkNodeGroups([trainium], needs, false)).toEqual({ findings: [], leftOut: [] });
});

test("a group of an added type with GPUs of NVIDIA is", () => {
  const l40s = group({ instanceTypes: ["g6e.12xlarge"], amiType: "AL2023_x86_64_STANDARD" });
  const { findings, leftOut } = checkNodeGroups([l40s], needs, false);

  expect(findings).toMatchObject([{ missing: "its AMI type AL2023_x86_64_STANDARD has no NVIDIA driver" }]);
  expect(leftOut).toMatchObject([{ what: "NVIDIA's device plugin" }]);
});

test("a group with a label of NODE_TYPES needs no machine type that EKS shows", () => {
  const ami = { amiType: "BOTTLEROCKET_x86_64_NVIDIA" } as const;
  const mig = group({ ...ami, labels: { "nvidia.com/mig.config": "all-1g.5gb" } });

  expect(checkNodeGroups([mig], needs, false).findings).toEqual([]);
  expect(checkNodeGroups([group(ami)], needs, false).findings).not.toEqual([]);
});
