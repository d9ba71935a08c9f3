import { DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { EKSClient, type Nodegroup } from "@aws-sdk/client-eks";
import type { MachineGroup, MachineGroups } from "#core/ports/machine-groups.ts";
import { clientOptions } from "../client-options.ts";
import { readConfigOf } from "../settings/config.ts";
import { allSettingSchemas } from "../settings/pod-setting-schemas.ts";
import { type CapacityBlock, findBlocks } from "./capacity-blocks.ts";
import { findLacks } from "./health-issues.ts";
import {
  createsMachines,
  hasLabels,
  isTolerated,
  listNodeGroups,
  listTypes,
  type NodeTypeRule,
  type Toleration,
} from "./node-groups.ts";
import { SELECTABLE_TAG } from "./selectable-tag.ts";

export interface EksMachineGroupsOptions {
  readonly eks: EKSClient;
  readonly ec2: EC2Client;
  readonly cluster: string;
  /** Tolerations of runs beside that of the GPU taint, as NODE_TOLERATIONS has them. */
  readonly tolerations?: readonly Toleration[];
  /** NODE_TYPES. */
  readonly nodeTypes?: readonly NodeTypeRule[];
  /** Labels of the nodes of runs, as POD_PATCH has them. */
  readonly nodeSelector?: Readonly<Record<string, string>> | undefined;
  /** The capacity schedule waits for the answer, and drops what took longer than 40 s. */
  readonly mostMs?: number;
}

const MOST_MS = 15_000;

/** Returns this deployment's EKS cluster's node groups. */
export function machineGroups(): MachineGroups {
  const config = readConfigOf(allSettingSchemas, ["EKS_CLUSTER", "NODE_TYPES", "NODE_TOLERATIONS", "POD_PATCH"]);
  const { EKS_CLUSTER: cluster, NODE_TYPES: nodeTypes, NODE_TOLERATIONS: tolerations, POD_PATCH: patch } = config;
  const options = clientOptions(undefined);
  const [eks, ec2] = [new EKSClient(options), new EC2Client(options)];
  return eksMachineGroups({ eks, ec2, cluster, nodeTypes, tolerations, nodeSelector: patch?.spec?.nodeSelector });
}

/** Returns the managed node groups of an EKS cluster. Self-managed groups and Karpenter's pools are not among them. */
export function eksMachineGroups(options: EksMachineGroupsOptions): MachineGroups {
  const { eks, ec2, cluster, mostMs = MOST_MS } = options;
  return {
    async list() {
      const abortSignal = AbortSignal.timeout(mostMs);
      const found = await listNodeGroups(eks, cluster, abortSignal);
      const [zones, blocks] = await Promise.all([
        findZones(ec2, new Set(found.flatMap(({ subnets = [] }) => subnets)), abortSignal),
        findBlocks(ec2, found, abortSignal),
      ]);
      return found
        .map((group) => toMachineGroup(group, zones, blocks.get(group.nodegroupName ?? ""), options))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
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
  { instanceType, startsAt, endsAt }: CapacityBlock = {},
  { nodeTypes = [], tolerations = [], nodeSelector = {} }: EksMachineGroupsOptions,
): MachineGroup {
  const { nodegroupName = "", subnets = [], scalingConfig, taints = [], health, tags = {} } = group;
  const own = new Map([...zones].filter(([subnet, zone]) => subnets.includes(subnet) && zone !== ""));
  return {
    name: nodegroupName,
    instanceTypes: listTypes(
      instanceType === undefined ? group : { ...group, instanceTypes: [instanceType] },
      nodeTypes,
    ),
    zones: [...new Set(own.values())].sort(),
    mostNodes: scalingConfig?.maxSize ?? 0,
    leastNodes: scalingConfig?.minSize,
    desiredNodes: scalingConfig?.desiredSize,
    isActive: createsMachines(group),
    admitsRuns: taints.every((taint) => isTolerated(taint, tolerations)) && hasLabels(group, nodeSelector),
    ...(tags[SELECTABLE_TAG] === "true" && { isSelectable: true }),
    ...findLacks(health?.issues ?? [], own),
    ...(startsAt !== undefined && { startsAt }),
    ...(endsAt !== undefined && { endsAt }),
  };
}
