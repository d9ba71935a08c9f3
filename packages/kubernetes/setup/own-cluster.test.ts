import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { formatObjectName, readManifests } from "./manifests.ts";
import { fillOwnCluster } from "./own-cluster.ts";

const manifests = await readManifests(
  fileURLToPath(new URL("../../../deploy/kubernetes/own-cluster", import.meta.url)),
);
const setup = {
  clusterName: "berth-dev",
  region: "eu-west-1",
  groupsOfPlugins: {
    "nvidia-device-plugin": ["old-eu-west-1a"],
    "aws-efa-k8s-device-plugin": ["h100-eu-west-1b"],
  },
};
const specOf = (kind: string, name: string, groupsOfPlugins = setup.groupsOfPlugins) =>
  fillOwnCluster(manifests, { ...setup, groupsOfPlugins }).find(
    (each) => each.kind === kind && each.metadata.name === name,
  )?.spec;

it("the autoscaler finds the groups of its own cluster, and runs on the system's machines as its account", () => {
  expect(specOf("Deployment", "cluster-autoscaler")).toMatchObject({
    template: {
      spec: {
        serviceAccountName: "cluster-autoscaler",
        nodeSelector: { "eks.amazonaws.com/nodegroup": "system" },
        containers: [
          {
            command: expect.arrayContaining([
              "--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/berth-dev",
            ]),
            env: [{ name: "AWS_REGION", value: "eu-west-1" }],
          },
        ],
      },
    },
  });
  const accounts = manifests.filter(({ kind }) => kind === "ServiceAccount");
  expect(accounts.map(formatObjectName)).toEqual(["ServiceAccount kube-system/cluster-autoscaler"]);
});

it.each([
  ["nvidia-device-plugin", "old-eu-west-1a"],
  ["aws-efa-k8s-device-plugin", "h100-eu-west-1b"],
] as const)("%s runs on its groups, and is left out if there is none", (name, group) => {
  const terms = [{ matchExpressions: [{ key: "eks.amazonaws.com/nodegroup", operator: "In", values: [group] }] }];
  expect(specOf("DaemonSet", name)).toMatchObject({
    template: {
      spec: {
        affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } },
        // Machines with GPUs have this taint.
        tolerations: [{ key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" }],
      },
    },
  });
  const withoutGroups = { ...setup.groupsOfPlugins, [name]: [] };
  expect(specOf("DaemonSet", name, withoutGroups)).toBeUndefined();
  expect(specOf("Deployment", "cluster-autoscaler", withoutGroups)).toBeDefined();
});

it("images are pinned, and no example is left", () => {
  const filled = JSON.stringify(fillOwnCluster(manifests, setup));

  expect(JSON.stringify(manifests)).toMatch(/set-this/);
  expect(filled).not.toMatch(/set-this|\/CLUSTER"/);
  expect([...filled.matchAll(/"image":"([^"]+)"/g)].map(([, image]) => image)).toEqual([
    expect.stringMatching(/:v1\.35\.\d+$/),
    expect.stringMatching(/:v\d+\.\d+\.\d+$/),
    expect.stringMatching(/:v\d+\.\d+\.\d+$/),
  ]);
});
