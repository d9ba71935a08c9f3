import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { formatObjectName, readManifests } from "./manifests.ts";
import { fillOwnCluster } from "./own-cluster.ts";

const manifests = await readManifests(
  fileURLToPath(new URL("../../../deploy/kubernetes/own-cluster", import.meta.url)),
);
const setup = { clusterName: "berth-dev", region: "eu-west-1", groupsWithoutPlugin: ["old-eu-west-1a"] };
const podOf = (kind: string, groupsWithoutPlugin = setup.groupsWithoutPlugin) =>
  fillOwnCluster(manifests, { ...setup, groupsWithoutPlugin }).find((each) => each.kind === kind)?.spec;

it("the autoscaler finds the groups of its own cluster, and runs on the system's machines as its account", () => {
  expect(podOf("Deployment")).toMatchObject({
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

it("NVIDIA's device plugin runs on the groups whose AMI lacks it, and is left out if there is none", () => {
  const terms = [
    { matchExpressions: [{ key: "eks.amazonaws.com/nodegroup", operator: "In", values: ["old-eu-west-1a"] }] },
  ];
  expect(podOf("DaemonSet")).toMatchObject({
    template: {
      spec: {
        affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } },
      },
    },
  });
  expect(podOf("DaemonSet", [])).toBeUndefined();
  expect(podOf("Deployment", [])).toBeDefined();
});

it("images are pinned, and no example is left", () => {
  const filled = JSON.stringify(fillOwnCluster(manifests, setup));

  expect(JSON.stringify(manifests)).toMatch(/set-this/);
  expect(filled).not.toMatch(/set-this|\/CLUSTER"/);
  expect([...filled.matchAll(/"image":"([^"]+)"/g)].map(([, image]) => image)).toEqual([
    expect.stringMatching(/:v1\.35\.\d+$/),
    expect.stringMatching(/:v\d+\.\d+\.\d+$/),
  ]);
});
