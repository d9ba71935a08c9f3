import type { Nodegroup } from "@aws-sdk/client-eks";
import { afterEach, expect, test, vi } from "vitest";
import { newClusterSettings } from "#tests/synthesis/new-cluster-settings.ts";
import { readStage } from "../../stage.ts";
import { makesOwnCluster } from "./check-new-cluster.ts";
import { startEc2 } from "./ec2-fixture.ts";
import { startEks } from "./eks-fixture.ts";
import { checkKeptParts } from "./kept-parts.ts";

afterEach(() => vi.unstubAllEnvs());

const tags = { "sst:app": "berth", "sst:stage": "dev" };
const guide = "docs/own-cluster.md#change-upgrade-remove";

interface Made {
  /** Zones of the control plane's subnets. */
  readonly zones?: readonly string[];
  /** Zones that were added later. */
  readonly laterZones?: readonly string[];
  readonly groups?: readonly Nodegroup[];
  readonly isProtected?: boolean;
  /** The stage made the network. */
  readonly hasNetwork?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
  readonly group?: object;
  readonly more?: Readonly<Record<string, string>>;
}

const hasIds = (parameters: URLSearchParams, vpcId: string) => [...parameters.values()].includes(vpcId);

/** Checks settings with the zones a and b, and the group cpu in a. */
async function check(made: Made) {
  const { zones = ["us-east-1a", "us-east-1b"], laterZones = [], groups = [], isProtected = true } = made;
  const tagSet = made.hasNetwork === false ? [] : Object.entries(tags).map(([key, value]) => ({ key, value }));
  const subnets = [...zones, ...laterZones].map((availabilityZone, at) => {
    return { subnetId: `subnet-${at}`, availabilityZone, tagSet };
  });
  const ec2 = await startEc2({
    DescribeSubnets: (parameters) => ({ subnetSet: hasIds(parameters, "vpc-1") ? subnets : [] }),
  });
  const subnetIds = zones.map((_, at) => `subnet-${at}`);
  const cluster = {
    name: "berth-dev",
    deletionProtection: isProtected,
    resourcesVpcConfig: { vpcId: "vpc-1", subnetIds, endpointPublicAccess: false },
  };
  const environment = { ...ec2, ...(await startEks([cluster], groups)), ...made.more };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  const group = { name: "cpu", type: "c7i.8xlarge", max: 1, zones: ["us-east-1a"], ...made.group };
  const settings = { ...newClusterSettings, EKS_NODE_GROUPS: JSON.stringify([group]), ...made.settings };
  const stage = readStage("dev", settings);
  if (!makesOwnCluster(stage)) throw new Error("The stage makes no cluster");
  return checkKeptParts(cluster, stage, { AWS_REGION: "us-east-1" });
}

const nothing = { findings: [], leftOut: [] };

test("a cluster whose zones and groups the settings have has no finding", async () => {
  const groups = ["system", "cpu-us-east-1a"].map((nodegroupName) => ({ nodegroupName, tags }));

  expect(await check({ groups })).toEqual(nothing);
  expect(await check({ zones: ["us-east-1a"] })).toEqual(nothing);
});

test("a zone of the control plane that EKS_ZONES lacks is found, also without protection", async () => {
  const made = { zones: ["us-east-1a", "us-east-1b", "us-east-1c"] };
  const finding = {
    what: "zone us-east-1c (EKS_ZONES)",
    missing: "the control plane of berth-dev was made in it, and EKS keeps the zones of its creation",
    todo: `Add it to EKS_ZONES again: ${guide}`,
  };

  expect(await check(made)).toEqual({ findings: [finding], leftOut: [] });
  expect(await check({ ...made, isProtected: false })).toEqual({ findings: [finding], leftOut: [] });
});

test("a zone that was added later and that EKS_ZONES lacks is found while its subnets are protected", async () => {
  const made = { laterZones: ["us-east-1c"] };

  expect(await check(made)).toEqual({
    findings: [
      {
        what: "zone us-east-1c (EKS_ZONES)",
        missing: "the stage has made subnets in it, and they are protected",
        todo: `Add it again, and deploy with EKS_PROTECT=0 before you remove it: ${guide}`,
      },
    ],
    leftOut: [],
  });
  expect(await check({ ...made, isProtected: false })).toEqual(nothing);
  expect(await check({ ...made, hasNetwork: false, settings: { VPC_SUBNETS: "subnet-0,subnet-1" } })).toEqual(nothing);
});

test.each([
  [
    "VPC_SUBNETS on a cluster whose network the stage made",
    { settings: { VPC_SUBNETS: "subnet-0,subnet-1" } },
    "VPC_SUBNETS: the stage has made the network of berth-dev, and a cluster stays in its network. Remove the setting",
  ],
  [
    "no VPC_SUBNETS on a cluster in the operator's network",
    { hasNetwork: false },
    "VPC_SUBNETS: berth-dev was made in subnets of yours, and a cluster stays in its network. Name them again",
  ],
  [
    "a subnet of another network",
    { hasNetwork: false, settings: { VPC_SUBNETS: "subnet-0,subnet-9" } },
    "subnet-9 (VPC_SUBNETS): it is not in vpc-1, the network of berth-dev. Name a subnet of that network",
  ],
])("%s is found, also without protection", async (_, made, said) => {
  const { findings } = await check({ ...made, isProtected: false });

  expect(findings.map(({ what, missing, todo }) => `${what}: ${missing}. ${todo}`)).toEqual([said]);
});

test("a private cluster that EKS_ACCESS opens is found while the group of its functions is protected", async () => {
  const settings = { EKS_ACCESS: "" };

  const { findings } = await check({ settings });

  expect(findings.map(({ what, missing }) => `${what}: ${missing}`)).toEqual([
    "EKS_ACCESS: the cluster is private, and the security group of its functions is protected",
  ]);
  expect(await check({ settings, isProtected: false })).toEqual(nothing);
});

test("a group that EKS_NODE_GROUPS lacks is found while it is protected, unless somebody else made it", async () => {
  const groups = [
    { nodegroupName: "cpu-us-east-1b", tags },
    { nodegroupName: "by-hand", tags: {} },
  ];

  expect(await check({ groups })).toEqual({
    findings: [
      {
        what: "node group cpu-us-east-1b (EKS_NODE_GROUPS)",
        missing: "the stage has made it, its settings lack it, and it is protected",
        todo: `Name it again, and deploy with EKS_PROTECT=0 before you remove it: ${guide}`,
      },
    ],
    leftOut: [],
  });
  expect(await check({ groups, isProtected: false })).toEqual(nothing);
});

const made = {
  nodegroupName: "cpu-us-east-1a",
  tags,
  instanceTypes: ["c7i.8xlarge"],
  amiType: "AL2023_x86_64_STANDARD",
  capacityType: "ON_DEMAND",
} satisfies Nodegroup;

test.each([
  ["type", { ...made, instanceTypes: ["c7i.4xlarge"] }, {}],
  ["ami", { ...made, amiType: "BOTTLEROCKET_x86_64" as const }, {}],
  ["spot or capacityBlock", made, { spot: true }],
  ["efa", { ...made, tags: { ...tags, "berth:efa": "true" } }, {}],
])("another %s of a protected group is found", async (key, nodeGroup, group) => {
  expect(await check({ groups: [nodeGroup], group })).toEqual({
    findings: [
      {
        what: "node group cpu-us-east-1a (EKS_NODE_GROUPS)",
        missing: `its settings have another ${key}, for which it would be replaced, and it is protected`,
        todo: `Add a group of another name instead: ${guide}`,
      },
    ],
    leftOut: [],
  });
  expect(await check({ groups: [nodeGroup], group, isProtected: false })).toEqual(nothing);
});

test("a protected group as its settings have it has no finding, and its limits and disk may change", async () => {
  expect(await check({ groups: [made], group: { max: 9, diskGb: 900 } })).toEqual(nothing);
});

test("without rights, zones and groups are left out", async () => {
  const { findings, leftOut } = await check({ more: { AWS_ACCESS_KEY_ID: "AKIAOTHER" } });

  expect(findings).toEqual([]);
  expect(leftOut.map(({ what }) => what)).toEqual(["network of the cluster", "protected node groups"]);
});
