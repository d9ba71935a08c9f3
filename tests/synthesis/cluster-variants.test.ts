import { parseEnv } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { readStage } from "../../stacks/stage.ts";
import { ofType } from "./checks.ts";
import { clusterChecks } from "./cluster-checks.ts";
import { newClusterName, newClusterSettings, newClusterStage } from "./new-cluster-settings.ts";
import { stageSettings } from "./stage-settings.ts";
import { type Resource, synthesizeCluster } from "./synthesize.ts";

const LONG_MS = 600_000;
const NAT = "aws:ec2/natGateway:NatGateway";

/** Lists each node group with its subnets. */
function listSubnets(resources: readonly Resource[]): string[] {
  return ofType(resources, "aws:eks/nodeGroup:NodeGroup").map(({ inputs }) =>
    [inputs.nodeGroupName, ...inputs.subnetIds].join(" "),
  );
}

test("another first zone of EKS_ZONES leaves the only NAT gateway as it is", { timeout: LONG_MS }, async () => {
  const resources = await Promise.all(
    ["us-east-1a,us-east-1b", "us-east-1b,us-east-1a"].map((EKS_ZONES) =>
      synthesizeCluster(`zones-${EKS_ZONES.slice(0, 10)}`, { ...newClusterSettings, EKS_ZONES }),
    ),
  );

  const gateways = resources.map((made) => ofType(made, NAT).map(({ name, ignored }) => [name, ignored]));
  expect(gateways).toEqual([[["ClusterNat", ["subnetId"]]], [["ClusterNat", ["subnetId"]]]]);
});

/** https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html, "Subnet requirements for clusters". */
describe("a cluster in the operator's subnets (VPC_SUBNETS)", () => {
  const subnets = { VPC_SUBNETS: "subnet-1a,subnet-2a,subnet-1b,subnet-1c" };
  let resources: readonly Resource[];
  beforeAll(async () => {
    resources = await synthesizeCluster(newClusterStage, { ...newClusterSettings, ...subnets });
  }, LONG_MS);

  test("makes no network, but all else that a new cluster has", () => {
    const made = resources.map(({ type }) => type).filter((type) => /^aws:ec2|^aws:vpc/.test(type));

    expect([...new Set(made)]).toEqual([
      "aws:ec2/launchTemplate:LaunchTemplate",
      "aws:ec2/placementGroup:PlacementGroup",
      "aws:ec2/securityGroup:SecurityGroup",
      "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
      "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    ]);
    for (const name of ["addOns", "protection"] as const) expect(clusterChecks[name](resources)).toEqual([]);
  });

  test("has its control plane and functions in all subnets of EKS_ZONES, and in no other zone", () => {
    const subnetIds = ["subnet-1a", "subnet-2a", "subnet-1b"];
    const [cluster] = ofType(resources, "aws:eks/cluster:Cluster");
    const [group] = ofType(resources, "aws:ec2/securityGroup:SecurityGroup");
    const outputs = resources.find(({ type }) => type === "berth:stage:Outputs");

    expect(cluster?.inputs.vpcConfig).toEqual({ subnetIds, endpointPrivateAccess: true, endpointPublicAccess: false });
    expect(group?.inputs.vpcId).toBe("vpc-operator");
    expect(outputs?.inputs.network).toEqual({ privateSubnets: subnetIds, securityGroups: ["ClusterFunctions-id"] });
  });

  test("names settings by which another stage uses its subnets and the group of its functions", () => {
    const outputs = resources.find(({ type }) => type === "berth:stage:Outputs");
    const printed = String(outputs?.inputs.settingsForOthers).replace("ClusterFunctions-id", "sg-0a1b");
    const second = readStage("second", { ...stageSettings, ...parseEnv(printed.replaceAll(" ", "\n")) });

    expect(second.eksCluster).toBe(newClusterName);
    expect(second.ebsKey).toBe(newClusterSettings.EBS_KMS_KEY_ID);
    expect(second.network).toEqual({
      privateSubnets: ["subnet-1a", "subnet-2a", "subnet-1b"],
      securityGroups: ["sg-0a1b"],
    });
  });

  test("has the machines of each group in all subnets of its zone", () => {
    expect(listSubnets(resources)).toEqual([
      "a100-us-east-1a subnet-1a subnet-2a",
      "a10g-us-east-1a subnet-1a subnet-2a",
      "a10g-us-east-1b subnet-1b",
      "arm-us-east-1b subnet-1b",
      "block-us-east-1b subnet-1b",
      "h100-us-east-1a subnet-1a subnet-2a",
      "h100-us-east-1b subnet-1b",
      "system subnet-1a subnet-2a subnet-1b",
    ]);
  });

  test("is not made if a zone of EKS_ZONES has no subnet", { timeout: LONG_MS }, async () => {
    const settings = { ...newClusterSettings, VPC_SUBNETS: "subnet-1a,subnet-2a" };

    await expect(synthesizeCluster(newClusterStage, settings)).rejects.toThrow(
      "VPC_SUBNETS has no subnet in us-east-1b",
    );
  });
});

describe("the public cluster of a production stage", () => {
  let resources: readonly Resource[];
  beforeAll(async () => {
    const { EKS_ACCESS: _, ...settings } = newClusterSettings;
    resources = await synthesizeCluster("production", settings);
  }, LONG_MS);

  /** https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-basics.html: a NAT gateway is in one zone. */
  test("has a NAT gateway in each zone, so that machines of a zone need no other one", () => {
    const tables = ofType(resources, "aws:ec2/routeTable:RouteTable").filter(({ name }) => name !== "ClusterPublic");

    expect(ofType(resources, NAT).map(({ name, inputs }) => `${name} in ${inputs.subnetId}`)).toEqual([
      "Cluster-us-east-1a in ClusterPublic-us-east-1a-id",
      "Cluster-us-east-1b in ClusterPublic-us-east-1b-id",
    ]);
    expect(tables.map(({ name, inputs }) => [name, inputs.routes])).toEqual(
      ["Cluster-us-east-1a", "Cluster-us-east-1b"].map((name) => [
        name,
        [{ cidrBlock: "0.0.0.0/0", natGatewayId: `${name}-id` }],
      ]),
    );
  });

  /** https://docs.aws.amazon.com/eks/latest/userguide/cluster-endpoint.html */
  test("has both endpoints, functions outside of its network, and logs for 90 days", () => {
    const [cluster] = ofType(resources, "aws:eks/cluster:Cluster");
    const [logs] = ofType(resources, "aws:cloudwatch/logGroup:LogGroup").filter(({ name }) => name === "ClusterLogs");
    const outputs = resources.find(({ type }) => type === "berth:stage:Outputs");

    expect(cluster?.inputs.vpcConfig).toMatchObject({
      endpointPrivateAccess: true,
      endpointPublicAccess: true,
      publicAccessCidrs: ["0.0.0.0/0"],
    });
    expect(outputs?.inputs.network).toBeUndefined();
    expect(outputs?.inputs.settingsForOthers).toMatch(
      /^EKS_CLUSTER=berth-production NEW_MACHINE_RESOURCES=\S+ EBS_KMS_KEY_ID=\S+$/,
    );
    expect(ofType(resources, "aws:ec2/securityGroup:SecurityGroup")).toEqual([]);
    expect(logs?.inputs.retentionInDays).toBe(90);
    expect(clusterChecks.protection(resources)).toEqual([]);
  });

  test("has its machines in private subnets", () => {
    const groups = listSubnets(resources);

    expect(groups).toHaveLength(8);
    expect(groups.filter((group) => !/^\S+( Cluster-us-east-1[ab]-id)+$/.test(group))).toEqual([]);
  });
});
