import {
  DescribeAddressesCommand,
  type EC2Client,
  type NatGateway,
  paginateDescribeNatGateways,
  paginateDescribeSubnets,
  paginateDescribeVpcEndpoints,
  paginateDescribeVpcs,
  type Tag,
} from "@aws-sdk/client-ec2";
import { type EKSClient, paginateListClusters } from "@aws-sdk/client-eks";
import type { Answer } from "../../../packages/aws/cluster-check/answers.ts";
import type { LeftOut } from "../../../packages/core/ports/cluster-report.ts";
import type { Environment } from "../aws-client.ts";
import { type CountedQuota, listCountedQuotas, listNatZones } from "../counted-quotas.ts";
import type { QuotaNeed } from "../quota-check.ts";
import { askEc2, askEks } from "./ask-account.ts";
import type { ClusterStage } from "./check-new-cluster.ts";
import { hasTagsOfStage } from "./existing-cluster.ts";

interface CountedNeeds {
  readonly needs: readonly QuotaNeed[];
  readonly leftOut: readonly LeftOut[];
}

/** Returns the quotas of things that the stage still makes, with what the account has. */
export async function findCountedNeeds(stage: ClusterStage, environment: Environment): Promise<CountedNeeds> {
  const [inEc2, inEks] = await Promise.all([
    askEc2(environment, (ec2) => countInEc2(ec2, stage)),
    askEks(environment, (eks) => countClusters(eks, stage)),
  ]);
  const found = listCountedQuotas(stage, stage.newCluster).map((quota) => {
    return describeNeed(quota, quota.service === "eks" ? inEks : inEc2);
  });
  return { needs: found.flatMap(({ needs }) => needs), leftOut: found.flatMap(({ leftOut }) => leftOut) };
}

interface Count {
  /** The number in the account, including the stage's own. */
  readonly all: number;
  readonly ofStage: number;
}

type Counts = Partial<Record<CountedQuota["unit"], Count>>;

function describeNeed({ usual: _, amount, ...quota }: CountedQuota, counts: Answer<Counts>): CountedNeeds {
  if ("refusal" in counts) return { needs: [], leftOut: [{ what: `quota ${quota.name}`, why: counts.refusal }] };
  const { all, ofStage } = counts.value[quota.unit] ?? { all: 0, ofStage: 0 };
  const more = amount - ofStage;
  const reason = `this stage makes ${more} more than the ${all} that exist`;
  return { needs: more > 0 ? [{ ...quota, least: all + more, reason }] : [], leftOut: [] };
}

async function countInEc2(client: EC2Client, stage: ClusterStage): Promise<Counts> {
  const count = ({ all, ofStage }: Count, found: readonly Tagged[]): Count => ({
    all: all + found.length,
    ofStage: ofStage + found.filter((each) => isOwn(each, stage)).length,
  });
  const none = { all: 0, ofStage: 0 };
  let [vpcs, endpoints] = [none, none];
  for await (const { Vpcs = [] } of paginateDescribeVpcs({ client }, {})) vpcs = count(vpcs, Vpcs);
  const Filters = [{ Name: "vpc-endpoint-type", Values: ["Gateway"] }];
  for await (const { VpcEndpoints = [] } of paginateDescribeVpcEndpoints({ client }, { Filters }))
    endpoints = count(endpoints, VpcEndpoints);
  const { Addresses = [] } = await client.send(new DescribeAddressesCommand());
  return {
    VPCs: vpcs,
    addresses: count(none, Addresses),
    "gateway endpoints": endpoints,
    "NAT gateways in a zone": await countNatsOfFullestZone(client, stage),
  };
}

interface Tagged {
  readonly Tags?: readonly Tag[] | undefined;
}

function isOwn({ Tags = [] }: Tagged, stage: ClusterStage): boolean {
  return hasTagsOfStage(Object.fromEntries(Tags.map(({ Key = "", Value = "" }) => [Key, Value])), stage);
}

/** Counts the gateways of the stage's zone that has least room for another one. */
async function countNatsOfFullestZone(client: EC2Client, stage: ClusterStage): Promise<Count> {
  const zones = new Map<string | undefined, string>();
  for await (const { Subnets = [] } of paginateDescribeSubnets({ client }, {}))
    for (const { SubnetId, AvailabilityZone = "" } of Subnets) zones.set(SubnetId, AvailabilityZone);
  const gateways: NatGateway[] = [];
  const Filter = [{ Name: "state", Values: ["pending", "available"] }];
  for await (const { NatGateways = [] } of paginateDescribeNatGateways({ client }, { Filter }))
    gateways.push(...NatGateways);
  const counts = listNatZones(stage, stage.newCluster).map((zone) => {
    const inZone = gateways.filter(({ SubnetId }) => zones.get(SubnetId) === zone);
    return { all: inZone.length, ofStage: inZone.filter((each) => isOwn(each, stage)).length };
  });
  const [fullest] = counts.toSorted((a, b) => b.all - b.ofStage - (a.all - a.ofStage));
  return fullest ?? { all: 0, ofStage: 0 };
}

async function countClusters(client: EKSClient, { eksCluster }: ClusterStage): Promise<Counts> {
  const names: string[] = [];
  for await (const { clusters = [] } of paginateListClusters({ client }, {})) names.push(...clusters);
  return { clusters: { all: names.length, ofStage: names.filter((name) => name === eksCluster).length } };
}
