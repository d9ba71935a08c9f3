import { afterEach, expect, test, vi } from "vitest";
import { newClusterSettings } from "#tests/synthesis/new-cluster-settings.ts";
import { readStage } from "../../stage.ts";
import { startEc2 } from "./ec2-fixture.ts";
import { checkSubnets } from "./subnets.ts";

const subnet = (subnetId: string, letter: string, more = {}) => ({
  subnetId,
  vpcId: "vpc-1",
  availabilityZone: `us-east-1${letter}`,
  mapPublicIpOnLaunch: false,
  ...more,
});
const both = [subnet("subnet-1", "a"), subnet("subnet-2", "b")];
const main = { main: true };
const out = (target: object, more = {}) => ({ destinationCidrBlock: "0.0.0.0/0", state: "active", ...target, ...more });
const nat = out({ natGatewayId: "nat-1" });
const local = { destinationCidrBlock: "10.0.0.0/16", gatewayId: "local", state: "active" };
const table = (routes: readonly object[], associationSet: readonly object[] = [main], vpcId = "vpc-1") => ({
  vpcId,
  routeSet: [local, ...routes],
  associationSet,
});

interface Network {
  readonly subnets?: readonly object[];
  readonly tables?: readonly object[];
  readonly endpoints?: readonly string[];
  readonly endpoint?: object;
  readonly settings?: Readonly<Record<string, string>>;
}

afterEach(() => vi.unstubAllEnvs());

async function check({ subnets = both, tables = [table([nat])], endpoints = [], endpoint = {}, settings }: Network) {
  const usual = { vpcId: "vpc-1", vpcEndpointType: "Interface", state: "available", ...endpoint };
  const environment = await startEc2({
    DescribeSubnets: () => ({ subnetSet: subnets }),
    DescribeRouteTables: () => ({ routeTableSet: tables }),
    DescribeVpcEndpoints: () => ({
      vpcEndpointSet: endpoints.map((name) => ({ ...usual, serviceName: `com.amazonaws.us-east-1.${name}` })),
    }),
  });
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  const VPC_SUBNETS = "subnet-1,subnet-2";
  const { newCluster } = readStage("dev", { ...newClusterSettings, EKS_ACCESS: "public", VPC_SUBNETS, ...settings });
  if (!newCluster?.subnets) throw new Error("The stage makes no cluster in subnets");
  return checkSubnets(newCluster.subnets, newCluster, { AWS_REGION: "us-east-1" });
}

test.each([
  ["a NAT gateway", nat],
  ["a transit gateway", out({ transitGatewayId: "tgw-1" })],
  ["a network interface", out({ networkInterfaceId: "eni-1" })],
  ["a virtual private gateway", out({ gatewayId: "vgw-1" })],
])("subnets whose default route leads to %s have no finding", async (_, route) => {
  expect(await check({ tables: [table([route])] })).toEqual({ findings: [], leftOut: [] });
});

const todo =
  "Lead the default route to a NAT gateway or a transit gateway: docs/deploy-reference.md#functions-in-the-clusters-network";

test("a subnet with a blackhole in its own table is found, also if the main table has a way out", async () => {
  const own = table([out({ natGatewayId: "nat-gone" }, { state: "blackhole" })], [{ subnetId: "subnet-2" }]);

  expect(await check({ tables: [table([nat]), own] })).toEqual({
    findings: [
      {
        what: "subnet-2 (VPC_SUBNETS)",
        missing: "its default route is a blackhole, because the target is gone",
        todo,
      },
    ],
    leftOut: [],
  });
});

test("a subnet uses the main table of its own VPC only without a table of its own", async () => {
  const own = table([nat], [{ subnetId: "subnet-1" }]);
  const otherVpc = table([nat], [main], "vpc-2");

  const { findings } = await check({ tables: [otherVpc, table([]), own] });

  expect(findings).toEqual([
    {
      what: "subnet-2 (VPC_SUBNETS)",
      missing: "it has no default route, and its VPC no interface endpoint for ec2, ecr.api, ecr.dkr, eks, sts",
      todo: todo.replace("Lead the default route", "Add a default route"),
    },
  ]);
});

test.each([
  [false, {}, "and its machines get no public address"],
  [true, {}, undefined],
  [true, { EKS_ACCESS: "private" }, "and the functions of EKS_ACCESS=private get no public address"],
])("an internet gateway with public addresses %s and %j has the finding: %s", async (isPublic, settings, missing) => {
  const subnets = both.map((each) => ({ ...each, mapPublicIpOnLaunch: isPublic }));
  const gateway = out({ gatewayId: "igw-1" });

  const { findings } = await check({ subnets, tables: [table([gateway])], settings });

  expect(findings.map((finding) => finding.missing)).toEqual(
    missing ? Array(2).fill(`its default route leads to the internet gateway igw-1, ${missing}`) : [],
  );
});

test("subnets with only the endpoints that machines need are left out", async () => {
  const endpoints = ["ec2", "ecr.api", "ecr.dkr", "eks", "sts"];
  const why = "it has no default route, and whether the endpoints of its VPC suffice is not known";

  expect(await check({ tables: [table([])], endpoints })).toEqual({
    findings: [],
    leftOut: [
      { what: "subnet-1 (VPC_SUBNETS)", why },
      { what: "subnet-2 (VPC_SUBNETS)", why },
    ],
  });
});

test("subnets with other routes out than a default route are left out", async () => {
  const half = (destinationCidrBlock: string) => ({ ...nat, destinationCidrBlock });
  const list = { destinationPrefixListId: "pl-1", transitGatewayId: "tgw-1", state: "active" };
  const ofS3 = { destinationPrefixListId: "pl-2", gatewayId: "vpce-1", state: "active" };
  const why = "it has no default route, and whether its other routes suffice is not known";

  for (const routes of [[half("0.0.0.0/1"), half("128.0.0.0/1")], [list]]) {
    expect(await check({ tables: [table(routes)] })).toEqual({
      findings: [],
      leftOut: [
        { what: "subnet-1 (VPC_SUBNETS)", why },
        { what: "subnet-2 (VPC_SUBNETS)", why },
      ],
    });
  }
  expect((await check({ tables: [table([ofS3])] })).findings).toHaveLength(2);
});

test.each([{ vpcEndpointType: "Gateway" }, { state: "failed" }, { vpcId: "vpc-2" }])(
  "an endpoint with %j counts as none",
  async (endpoint) => {
    const { findings } = await check({
      tables: [table([])],
      endpoints: ["ec2", "ecr.api", "ecr.dkr", "eks", "sts"],
      endpoint,
    });

    expect(findings).toHaveLength(2);
  },
);

test("an endpoint that is lacking is named", async () => {
  const { findings, leftOut } = await check({ tables: [table([])], endpoints: ["ec2", "ecr.api", "ecr.dkr", "eks"] });

  expect(leftOut).toEqual([]);
  expect(findings[0]?.missing).toBe("it has no default route, and its VPC no interface endpoint for sts");
});

test("subnets of two VPCs are found", async () => {
  const subnets = [subnet("subnet-1", "a"), subnet("subnet-2", "b", { vpcId: "vpc-2" })];

  const { findings } = await check({ subnets, tables: [table([nat]), table([nat], [main], "vpc-2")] });

  expect(findings).toEqual([
    { what: "VPC_SUBNETS", missing: "it is in vpc-1 and vpc-2", todo: "Name subnets of one VPC" },
  ]);
});

test("a subnet that does not exist is found, and a zone without a subnet", async () => {
  const { findings } = await check({ subnets: [subnet("subnet-1", "a")] });

  expect(findings).toMatchObject([
    { what: "subnet-2 (VPC_SUBNETS)", missing: "EC2 lists no such subnet in this account and region" },
    { what: "zone us-east-1b (EKS_ZONES)", missing: "VPC_SUBNETS has no subnet in it" },
  ]);
});

test("without the right to ask EC2, the routes are left out", async () => {
  for (const [name, value] of Object.entries(await startEc2({}))) vi.stubEnv(name, value);
  const { newCluster } = readStage("dev", newClusterSettings);
  if (!newCluster) throw new Error("The stage makes no cluster");

  const { findings, leftOut } = await checkSubnets(["subnet-1"], newCluster, { AWS_REGION: "us-east-1" });

  expect(findings).toEqual([]);
  expect(leftOut).toMatchObject([{ what: "routes out of VPC_SUBNETS", why: expect.stringContaining("no answer") }]);
});
