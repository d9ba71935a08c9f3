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
  } as unknown as Parameters<typeof checkSetup>[0];
  const needs = { manifests: [], owned: undefined, hasEbs: false, nodeTypes, gateway: undefined };
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
