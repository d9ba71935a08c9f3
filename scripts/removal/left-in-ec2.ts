import {
  type EC2Client,
  type Filter,
  paginateDescribeNetworkInterfaces,
  paginateDescribeSecurityGroups,
  paginateDescribeSnapshots,
  paginateDescribeVolumes,
  paginateDescribeVpcs,
} from "@aws-sdk/client-ec2";
import { hasTag, tagName } from "#aws/ec2/ebs-tags.ts";
import type { Environment } from "../../stacks/plan/aws-client.ts";
import { askEc2 } from "../../stacks/plan/new-cluster/ask-account.ts";
import { hasTagsOfStage } from "../../stacks/plan/new-cluster/existing-cluster.ts";
import type { Stage } from "../../stacks/stage.ts";
import type { RemovalStep } from "./removal-step.ts";

/** Finds the volumes and snapshots of a stage. Only its functions remove them, and the removal ends these. */
export async function findDisks(stage: Stage, environment: Environment): Promise<RemovalStep> {
  const left = await askEc2(environment, (ec2) => listDisks(ec2, stage.tableName));
  return {
    what: "volumes and snapshots of disks",
    left,
    todo:
      "Deploy with DISK_RETENTION_DAYS=0, and have users delete their own disks (npx berth disks rm). While the stage is " +
      "paused and runs no job, delete what stays, also of disks deleted before. This destroys the data of users",
    commands: "value" in left ? left.value.map((id) => formatDeletion(id, environment.AWS_REGION)) : [],
  };
}

function formatDeletion(id: string, region: string | undefined): string {
  const kind = id.startsWith("snap-") ? "snapshot" : "volume";
  return `aws ec2 delete-${kind} --${kind}-id ${id}${region ? ` --region ${region}` : ""}`;
}

async function listDisks(client: EC2Client, deployment: string): Promise<string[]> {
  const Filters = [hasTag(tagName.deployment, deployment)];
  const ids: string[] = [];
  for await (const { Volumes = [] } of paginateDescribeVolumes({ client }, { Filters }))
    ids.push(...Volumes.map(({ VolumeId = "" }) => VolumeId));
  for await (const { Snapshots = [] } of paginateDescribeSnapshots({ client }, { Filters, OwnerIds: ["self"] }))
    ids.push(...Snapshots.map(({ SnapshotId = "" }) => SnapshotId));
  return ids;
}

/**
 * Finds network interfaces and security groups of others in the network that the stage made. They keep EC2 from deleting
 * it. Load balancers, and the security groups of their controller, outlive the cluster if their Services were not deleted
 * before.
 */
export async function findInNetwork(stage: Stage, environment: Environment): Promise<RemovalStep> {
  return {
    what: "load balancers, functions and security groups of others in the stage's network",
    left: await askEc2(environment, (ec2) => listInNetwork(ec2, stage)),
    todo:
      "AWS deletes a load balancer some minutes after its Service or Ingress. Without the cluster, find it with " +
      "aws elbv2 describe-load-balancers, and use aws elbv2 delete-load-balancer, then aws ec2 delete-security-group. Lambda " +
      "deletes its interfaces some minutes after the last function that uses them",
  };
}

async function listInNetwork(client: EC2Client, stage: Stage): Promise<string[]> {
  const ofStage = [hasTag("sst:app", "berth"), hasTag("sst:stage", stage.name)];
  const vpcs: string[] = [];
  for await (const { Vpcs = [] } of paginateDescribeVpcs({ client }, { Filters: ofStage }))
    vpcs.push(...Vpcs.map(({ VpcId = "" }) => VpcId));
  if (vpcs.length === 0) return [];
  const Filters: Filter[] = [{ Name: "vpc-id", Values: vpcs }];
  return [...(await listInterfaces(client, Filters, stage)), ...(await listGroups(client, Filters, stage))];
}

async function listInterfaces(client: EC2Client, Filters: Filter[], { name, eksCluster }: Stage): Promise<string[]> {
  const found = new Set<string>();
  for await (const { NetworkInterfaces = [] } of paginateDescribeNetworkInterfaces({ client }, { Filters }))
    for (const { Description, NetworkInterfaceId = "", Attachment } of NetworkInterfaces)
      if (!Attachment?.InstanceId) found.add(Description || NetworkInterfaceId);
  return [...found].filter((description) => !isOfStage(description, name, eksCluster));
}

/** EC2 deletes the default group with the network, and EKS the cluster's group with the cluster. */
async function listGroups(client: EC2Client, Filters: Filter[], { name, eksCluster }: Stage): Promise<string[]> {
  const found: string[] = [];
  for await (const { SecurityGroups = [] } of paginateDescribeSecurityGroups({ client }, { Filters }))
    for (const { GroupId, GroupName = "", Tags = [] } of SecurityGroups) {
      const isKnown = GroupName === "default" || GroupName.startsWith(`eks-cluster-sg-${eksCluster}-`);
      const isOwn = hasTagsOfStage(Object.fromEntries(Tags.map(({ Key, Value = "" }) => [Key, Value])), { name });
      if (!isKnown && !isOwn) found.push(`${GroupId} ${GroupName}`);
    }
  return found;
}

/**
 * Recognizes the interfaces that the removal deletes: of the control plane, NAT gateways, pods, and the stage's functions.
 * SST shortens the app in the names of functions, and begins the rest with a capital letter.
 */
function isOfStage(description: string, stage: string, cluster: string): boolean {
  return (
    description === `Amazon EKS ${cluster}` ||
    /^(Interface for NAT Gateway |aws-K8S-)/.test(description) ||
    new RegExp(`^AWS Lambda VPC ENI-([berth]+-)?${stage}-[A-Z]`).test(description)
  );
}
