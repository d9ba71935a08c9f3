import type { Cluster } from "@aws-sdk/client-eks";
import { afterEach, expect, test, vi } from "vitest";
import { newClusterSettings } from "#tests/synthesis/new-cluster-settings.ts";
import functionsFile from "../../../functions.json" with { type: "json" };
import { KUBERNETES_VERSION } from "../../cluster/settings.ts";
import type { FunctionsFile } from "../../compute/functions-file.ts";
import { readStage } from "../../stage.ts";
import { startQuotas } from "../quota-fixture.ts";
import { accountLines } from "./account-lines.ts";
import { makesOwnCluster } from "./check-new-cluster.ts";
import { answerOfferings, startEc2 } from "./ec2-fixture.ts";
import { startEks } from "./eks-fixture.ts";

afterEach(() => vi.unstubAllEnvs());

const group = { name: "cpu", type: "c7i.8xlarge", max: 1, zones: ["us-east-1a"] };

/** Prints the plan of an account with these clusters, and with a quota of so many. */
async function print(clusters: readonly Cluster[], most = 100) {
  const zones = ["us-east-1a", "us-east-1b"];
  const ec2 = await startEc2({
    ...answerOfferings({ "m7i.large": zones, "c7i.8xlarge": zones }),
    DescribeVpcs: () => ({ vpcSet: [] }),
    DescribeAddresses: () => ({ addressesSet: [] }),
    DescribeNatGateways: () => ({ natGatewaySet: [] }),
    DescribeVpcEndpoints: () => ({ vpcEndpointSet: [] }),
    DescribeSubnets: () => ({ subnetSet: [{ subnetId: "subnet-c", availabilityZone: "us-east-1c" }] }),
  });
  const ofNetwork = { "vpc/L-F678F1CE": 5, "ec2/L-0263D0A3": 5, "vpc/L-FE5A380F": 5, "vpc/L-1B52E74A": 20 };
  const values = { ...ofNetwork, "ec2/L-1216C47A": 38, "ebs/L-7A658B76": 50, "eks/L-1194D53C": most };
  const { AWS_ENDPOINT_URL_SERVICE_QUOTAS } = await startQuotas({ values });
  for (const [name, value] of Object.entries({ ...ec2, ...(await startEks(clusters)) })) vi.stubEnv(name, value);
  const stage = readStage("dev", { ...newClusterSettings, EKS_NODE_GROUPS: JSON.stringify([group]) });
  if (!makesOwnCluster(stage)) throw new Error("The stage makes no cluster");
  const environment = { AWS_REGION: "us-east-1", AWS_ENDPOINT_URL_SERVICE_QUOTAS };
  return (await accountLines(stage, functionsFile as FunctionsFile, environment, [])).join("\n");
}

test("the plan of a stage without a cluster says nothing of one", async () => {
  expect(await print([])).toBe(
    "The account's answers about the new cluster:\n  Nothing is missing of what was checked.",
  );
});

test("the plan of a stage without a cluster says that the account has no room for one", async () => {
  const text = await print([{ name: "gpus" }], 1);

  expect(text).toContain(
    "\n  MISSING: quota Clusters: it is 1 clusters, and this stage makes 1 more than the 1 that exist.\n",
  );
});

const tags = { "sst:app": "berth", "sst:stage": "dev" };

test("the plan of a stage that has made its cluster says its version, and what it lacks", async () => {
  const accessConfig = { authenticationMode: "CONFIG_MAP" as const };

  const text = await print([{ name: "berth-dev", version: KUBERNETES_VERSION, status: "ACTIVE", tags, accessConfig }]);

  expect(text).toContain(
    `\n\nThe stage has made the cluster berth-dev already, with Kubernetes ${KUBERNETES_VERSION}, `,
  );
  expect(text).toContain(
    "\n\nThe cluster berth-dev, as EKS describes it:\n  MISSING: authentication mode: CONFIG_MAP ",
  );
});

test("the plan of a stage whose cluster does not work says what to do, and nothing that a deployment would keep", async () => {
  const text = await print([{ name: "berth-dev", version: KUBERNETES_VERSION, status: "FAILED", tags }]);

  expect(text).toContain("\n  MISSING: cluster berth-dev: it is FAILED, and only a cluster that is ACTIVE ");
  expect(text).toContain("\n    It stays so. Delete it, and deploy again: ");
  expect(text).not.toMatch(/has made the cluster|as EKS describes it/);
});

test("the plan of a stage that lacks a zone of its control plane says so", async () => {
  const resourcesVpcConfig = { vpcId: "vpc-1", subnetIds: ["subnet-c"] };

  const text = await print([
    { name: "berth-dev", version: KUBERNETES_VERSION, status: "ACTIVE", tags, resourcesVpcConfig },
  ]);

  expect(text).toContain("\n  MISSING: zone us-east-1c (EKS_ZONES): the control plane of berth-dev was made in it");
});

test("the plan of a stage whose name is taken says so, and does not check the other cluster", async () => {
  const text = await print([{ name: "berth-dev", version: KUBERNETES_VERSION, status: "FAILED" }]);

  expect(text).toContain("\n  MISSING: cluster berth-dev: the name is taken: ");
  expect(text).not.toContain("FAILED");
});
