import type { Cluster } from "@aws-sdk/client-eks";
import { afterEach, expect, test, vi } from "vitest";
import { newClusterSettings } from "#tests/synthesis/new-cluster-settings.ts";
import { readStage } from "../../stage.ts";
import { makesOwnCluster } from "./check-new-cluster.ts";
import { findCountedNeeds } from "./counted-needs.ts";
import { startEc2 } from "./ec2-fixture.ts";
import { startEks } from "./eks-fixture.ts";

afterEach(() => vi.unstubAllEnvs());

const tagSet = [
  { key: "sst:app", value: "berth" },
  { key: "sst:stage", value: "dev" },
];
const other = { tagSet: [{ key: "sst:stage", value: "dev" }] };
const own = { tagSet };

interface Account {
  readonly endpoints?: readonly object[];
  /** NAT gateways in the zone a, unless their subnet is another one. */
  readonly nats?: readonly object[];
  readonly vpcs?: readonly object[];
  readonly addresses?: readonly object[];
  readonly clusters?: readonly Cluster[];
  readonly more?: Readonly<Record<string, string>>;
  readonly stage?: string;
  readonly settings?: Readonly<Record<string, string>>;
}

async function find({
  vpcs = [],
  addresses = [],
  clusters = [],
  more = {},
  stage = "dev",
  settings,
  ...rest
}: Account) {
  const { endpoints = [], nats = [] } = rest;
  const ec2 = await startEc2({
    DescribeVpcEndpoints: (parameters) => ({
      vpcEndpointSet: parameters.get("Filter.1.Value.1") === "Gateway" ? endpoints : [],
    }),
    DescribeNatGateways: () => ({ natGatewaySet: nats.map((nat) => ({ subnetId: "subnet-a", ...nat })) }),
    DescribeSubnets: () => ({
      subnetSet: ["a", "b"].map((zone) => ({ subnetId: `subnet-${zone}`, availabilityZone: `us-east-1${zone}` })),
    }),
    DescribeVpcs: () => ({ vpcSet: vpcs }),
    DescribeAddresses: () => ({ addressesSet: addresses }),
  });
  const environment = { ...ec2, ...(await startEks(clusters)), ...more };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  const planned = readStage(stage, { ...newClusterSettings, ...settings });
  if (!makesOwnCluster(planned)) throw new Error("The stage makes no cluster");
  return findCountedNeeds(planned, { AWS_REGION: "us-east-1" });
}

test("a first deployment needs room for its network and its cluster beside those of the account", async () => {
  const account = {
    vpcs: [other, {}, {}],
    addresses: [other, {}],
    clusters: [{ name: "gpus" }],
    endpoints: [other],
    nats: [other, {}, { subnetId: "subnet-b" }],
  };

  const { needs, leftOut } = await find(account);

  expect(leftOut).toEqual([]);
  expect(needs).toEqual([
    {
      service: "vpc",
      name: "VPCs per Region",
      code: "L-F678F1CE",
      unit: "VPCs",
      least: 4,
      reason: "this stage makes 1 more than the 3 that exist",
    },
    {
      service: "ec2",
      name: "EC2-VPC Elastic IPs",
      code: "L-0263D0A3",
      unit: "addresses",
      least: 3,
      reason: "this stage makes 1 more than the 2 that exist",
    },
    {
      service: "vpc",
      name: "NAT gateways per Availability Zone",
      code: "L-FE5A380F",
      unit: "NAT gateways in a zone",
      least: 3,
      reason: "this stage makes 1 more than the 2 that exist",
    },
    {
      service: "vpc",
      name: "Gateway VPC endpoints per Region",
      code: "L-1B52E74A",
      unit: "gateway endpoints",
      least: 3,
      reason: "this stage makes 2 more than the 1 that exist",
    },
    {
      service: "eks",
      name: "Clusters",
      code: "L-1194D53C",
      unit: "clusters",
      least: 2,
      reason: "this stage makes 1 more than the 1 that exist",
    },
  ]);
});

test("what the stage has made already needs no room", async () => {
  const account = {
    vpcs: [own, {}],
    addresses: [own],
    clusters: [{ name: "berth-dev" }],
    endpoints: [own, own, {}],
    nats: [{}, own],
  };

  expect(await find(account)).toEqual({ needs: [], leftOut: [] });
});

test("production has an address in each zone, and a deployment that stopped half-way makes only the others", async () => {
  const ofProduction = { tagSet: [tagSet[0], { key: "sst:stage", value: "production" }] };
  const account = {
    vpcs: [ofProduction],
    addresses: [ofProduction],
    clusters: [{ name: "berth-production" }],
    endpoints: [ofProduction, ofProduction],
    nats: [ofProduction, {}, { subnetId: "subnet-b" }, { subnetId: "subnet-b" }],
  };

  const { needs } = await find({ ...account, stage: "production", settings: { ALARM_EMAIL: "a@b.dev" } });

  expect(needs).toMatchObject([
    { unit: "addresses", least: 2, reason: "this stage makes 1 more than the 1 that exist" },
    { unit: "NAT gateways in a zone", least: 3, reason: "this stage makes 1 more than the 2 that exist" },
  ]);
});

test("a stage in VPC_SUBNETS needs room only for its cluster", async () => {
  const { needs } = await find({ settings: { VPC_SUBNETS: "subnet-1,subnet-2" } });

  expect(needs).toMatchObject([{ service: "eks", least: 1 }]);
});

test("without the right to list them, the quotas are left out", async () => {
  const { needs, leftOut } = await find({ more: { AWS_ACCESS_KEY_ID: "AKIAOTHER" } });

  expect(needs).toEqual([]);
  expect(leftOut).toMatchObject([
    { what: "quota VPCs per Region", why: expect.stringContaining("EC2 gave no answer (") },
    { what: "quota EC2-VPC Elastic IPs", why: expect.stringContaining("EC2 gave no answer (") },
    { what: "quota NAT gateways per Availability Zone" },
    { what: "quota Gateway VPC endpoints per Region" },
    { what: "quota Clusters", why: expect.stringContaining("EKS gave no answer (") },
  ]);
});
