import { expect, test, vi } from "vitest";
import type { Node } from "../objects.ts";
import { checkSetup } from "./check.ts";

vi.hoisted(() => {
  process.env.MACHINE_TYPES =
    "p4d-mig=a100-1g.5gb:56:96:1152:nvidia.com/mig-1g.5gb,trn1.32xlarge=trn:16:128:512:v.test/n";
});

const nodeTypes = [{ label: "nvidia.com/mig.config", value: "all-1g.5gb", instanceType: "p4d-mig" }];

/** Checks a cluster that has only such a node. */
async function check(labels: Readonly<Record<string, string>>, allocatable: Readonly<Record<string, string>>) {
  const node = { metadata: { name: "one", labels }, status: { allocatable } } as unknown as Node;
  const client = {
    list: async (_: string, keep: (node: Node) => unknown[]) => ({ items: keep(node), resourceVersion: "1" }),
    find: async () => undefined,
    get: async () => ({ major: "1", minor: "35" }),
  } as unknown as Parameters<typeof checkSetup>[0];
  const newMachineResources = { "p5.48xlarge": { "vpc.amazonaws.com/efa": "32" } };
  const none = { owned: undefined, ownCluster: undefined, gateway: undefined };
  const needs = { manifests: [], hasEbs: false, nodeTypes, newMachineResources, ...none };
  return (await checkSetup(client, needs)).findings.map(({ missing, todo }) => `${missing}. ${todo}`);
}

const typeLabel = "node.kubernetes.io/instance-type";
const mig = { [typeLabel]: "p4d.24xlarge", "nvidia.com/mig.config": "all-1g.5gb" };

test("a node needs the resource that counts the GPUs of its type", async () => {
  expect(await check(mig, { "nvidia.com/mig-1g.5gb": "56" })).toEqual([]);
  expect(await check(mig, { "nvidia.com/gpu": "8" })).toEqual([
    "one offer no nvidia.com/mig-1g.5gb. Install NVIDIA's device plugin, or see its log on these nodes",
  ]);
  expect(await check({ [typeLabel]: "trn1.32xlarge" }, {})).toEqual([
    "one offer no v.test/n. Install their device plugin, or see its log on these nodes",
  ]);
});

test("a node needs the resources that jobs request of a new machine of its type", async () => {
  const h100 = { [typeLabel]: "p5.48xlarge" };

  expect(await check(h100, { "nvidia.com/gpu": "8", "vpc.amazonaws.com/efa": "32" })).toEqual([]);
  expect(await check({ [typeLabel]: "p4d.24xlarge" }, { "nvidia.com/gpu": "8" })).toEqual([]);
  expect(await check(h100, { "nvidia.com/gpu": "8", "vpc.amazonaws.com/efa": "0" })).toEqual([
    "one offer no vpc.amazonaws.com/efa. Install their device plugin, or see its log on these nodes",
  ]);
});
