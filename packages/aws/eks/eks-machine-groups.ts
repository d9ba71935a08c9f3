import { DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { EKSClient, type Nodegroup } from "@aws-sdk/client-eks";
import type { MachineGroup, MachineGroups } from "#core/ports/machine-groups.ts";
import { clientOptions } from "../client-options.ts";
import { readConfig } from "../settings/config.ts";
import { createsMachines, findLack, isTolerated, listNodeGroups, type Toleration } from "./node-groups.ts";

export interface EksMachineGroupsOptions {
  readonly eks: EKSClient;
  readonly ec2: EC2Client;
  readonly cluster: string;
  /** Tolerations of runs beside that of the GPU taint, as NODE_TOLERATIONS has them. */
  readonly tolerations?: readonly Toleration[];
  /** The capacity schedule waits for the answer, and drops what took longer than 40 s. */
  readonly mostMs?: number;
}

const MOST_MS = 15_000;

/** Returns this deployment's EKS cluster's node groups. */
export function machineGroups(): MachineGroups {
  const { EKS_CLUSTER: cluster, NODE_TOLERATIONS: tolerations } = readConfig(["EKS_CLUSTER", "NODE_TOLERATIONS"]);
  const options = clientOptions(undefined);
  return eksMachineGroups({ eks: new EKSClient(options), ec2: new EC2Client(options), cluster, tolerations });
}

/** Returns the managed node groups of an EKS cluster. Self-managed groups and Karpenter's pools are not among them. */
export function eksMachineGroups(options: EksMachineGroupsOptions): MachineGroups {
  const { eks, ec2, cluster, tolerations = [], mostMs = MOST_MS } = options;
  return {
    async list() {
      const abortSignal = AbortSignal.timeout(mostMs);
      const found = await listNodeGroups(eks, cluster, abortSignal);
      const zones = await findZones(ec2, new Set(found.flatMap(({ subnets = [] }) => subnets)), abortSignal);
      return found.map((group) => toMachineGroup(group, zones, tolerations)).sort((a, b) => (a.name < b.name ? -1 : 1));
    },
  };
}

/** Filters by id, because a call with ids fails if one of them is gone. */
async function findZones(
  ec2: EC2Client,
  subnets: ReadonlySet<string>,
  abortSignal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  if (subnets.size === 0) return new Map();
  const { Subnets = [] } = await ec2.send(
    new DescribeSubnetsCommand({ Filters: [{ Name: "subnet-id", Values: [...subnets] }] }),
    { abortSignal },
  );
  return new Map(Subnets.map(({ SubnetId = "", AvailabilityZone = "" }) => [SubnetId, AvailabilityZone]));
}

function toMachineGroup(
  group: Nodegroup,
  zones: ReadonlyMap<string, string>,
  tolerations: readonly Toleration[],
): MachineGroup {
  const { nodegroupName = "", instanceTypes = [], subnets = [], scalingConfig, taints = [], health } = group;
  const lacks = (health?.issues ?? []).map(findLack).find((lack) => lack !== undefined);
  return {
    name: nodegroupName,
    instanceTypes,
    zones: [...new Set(subnets.flatMap((subnet) => zones.get(subnet) || []))].sort(),
    mostNodes: scalingConfig?.maxSize ?? 0,
    isActive: createsMachines(group),
    admitsRuns: taints.every((taint) => isTolerated(taint, tolerations)),
    ...(lacks && { lacks }),
  };
}
