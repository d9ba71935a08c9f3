import { DescribeAddressesCommand, type EC2Client, paginateDescribeVpcs, type Tag } from "@aws-sdk/client-ec2";
import { type EKSClient, paginateListClusters } from "@aws-sdk/client-eks";
import type { Answer } from "../../../packages/aws/cluster-check/answers.ts";
import type { LeftOut } from "../../../packages/core/ports/cluster-report.ts";
import type { Environment } from "../aws-client.ts";
import { type CountedQuota, listCountedQuotas } from "../counted-quotas.ts";
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
  const isOwn = ({ Tags = [] }: { readonly Tags?: readonly Tag[] | undefined }) =>
    hasTagsOfStage(Object.fromEntries(Tags.map(({ Key = "", Value = "" }) => [Key, Value])), stage);
  const vpcs = { all: 0, ofStage: 0 };
  for await (const { Vpcs = [] } of paginateDescribeVpcs({ client }, {})) {
    vpcs.all += Vpcs.length;
    vpcs.ofStage += Vpcs.filter(isOwn).length;
  }
  const { Addresses = [] } = await client.send(new DescribeAddressesCommand());
  return { VPCs: vpcs, addresses: { all: Addresses.length, ofStage: Addresses.filter(isOwn).length } };
}

async function countClusters(client: EKSClient, { eksCluster }: ClusterStage): Promise<Counts> {
  const names: string[] = [];
  for await (const { clusters = [] } of paginateListClusters({ client }, {})) names.push(...clusters);
  return { clusters: { all: names.length, ofStage: names.filter((name) => name === eksCluster).length } };
}
