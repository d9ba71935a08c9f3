import { DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import {
  DescribeNodegroupCommand,
  EKSClient,
  type Issue,
  type Nodegroup,
  paginateListNodegroups,
  ResourceNotFoundException,
  type Taint,
} from "@aws-sdk/client-eks";
import type { Lack, MachineGroup, MachineGroups } from "#core/ports/machine-groups.ts";
import { clientOptions } from "../client-options.ts";
import { readConfig } from "../settings/config.ts";

export interface EksMachineGroupsOptions {
  readonly eks: EKSClient;
  readonly ec2: EC2Client;
  readonly cluster: string;
  /** Tolerations of runs beside that of the GPU taint, as NODE_TOLERATIONS has them. */
  readonly tolerations?: readonly Toleration[];
}

type Toleration = ReturnType<typeof readConfig<"NODE_TOLERATIONS">>["NODE_TOLERATIONS"][number];

/** EKS limits DescribeNodegroup for the account, so few run at once. */
const AT_ONCE = 5;
/** The capacity schedule waits for the answer, and drops what took longer than 40 s. */
const MOST_MS = 15_000;

/** Returns this deployment's EKS cluster's node groups. */
export function machineGroups(): MachineGroups {
  const { EKS_CLUSTER: cluster, NODE_TOLERATIONS: tolerations } = readConfig(["EKS_CLUSTER", "NODE_TOLERATIONS"]);
  const options = clientOptions(undefined);
  return eksMachineGroups({ eks: new EKSClient(options), ec2: new EC2Client(options), cluster, tolerations });
}

/** Returns the managed node groups of an EKS cluster. Self-managed groups and Karpenter's pools are not among them. */
export function eksMachineGroups({ eks, ec2, cluster, tolerations = [] }: EksMachineGroupsOptions): MachineGroups {
  return {
    async list() {
      const abortSignal = AbortSignal.timeout(MOST_MS);
      const names = await listNames(eks, cluster, abortSignal);
      const found: Nodegroup[] = [];
      for (let first = 0; first < names.length; first += AT_ONCE) {
        const some = names.slice(first, first + AT_ONCE);
        found.push(...(await Promise.all(some.map((name) => describe(eks, cluster, name, abortSignal)))).flat());
      }
      const zones = await findZones(ec2, new Set(found.flatMap(({ subnets = [] }) => subnets)), abortSignal);
      return found.map((group) => toMachineGroup(group, zones, tolerations)).sort((a, b) => (a.name < b.name ? -1 : 1));
    },
  };
}

async function listNames(client: EKSClient, clusterName: string, abortSignal: AbortSignal): Promise<string[]> {
  const names: string[] = [];
  for await (const { nodegroups = [] } of paginateListNodegroups({ client }, { clusterName }, { abortSignal }))
    names.push(...nodegroups);
  return names;
}

/** Returns no group if it was deleted since it was listed. */
async function describe(
  eks: EKSClient,
  clusterName: string,
  nodegroupName: string,
  abortSignal: AbortSignal,
): Promise<Nodegroup[]> {
  try {
    const { nodegroup } = await eks.send(new DescribeNodegroupCommand({ clusterName, nodegroupName }), { abortSignal });
    return nodegroup ? [nodegroup] : [];
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return [];
    throw error;
  }
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
  const { nodegroupName = "", instanceTypes = [], subnets = [], scalingConfig, status, taints = [], health } = group;
  const lacks = (health?.issues ?? []).map(findLack).find((lack) => lack !== undefined);
  return {
    name: nodegroupName,
    instanceTypes,
    zones: [...new Set(subnets.flatMap((subnet) => zones.get(subnet) || []))].sort(),
    mostNodes: scalingConfig?.maxSize ?? 0,
    isActive: status === "ACTIVE" || status === "UPDATING" || status === "DEGRADED",
    admitsRuns: taints.every((taint) => isTolerated(taint, tolerations)),
    ...(lacks && { lacks }),
  };
}

const effects: Readonly<Record<string, string>> = { NO_SCHEDULE: "NoSchedule", NO_EXECUTE: "NoExecute" };

/** Applies the rules of the scheduler to a taint of EKS, as packages/kubernetes/nodes/tolerations.ts does for nodes. */
function isTolerated(taint: Taint, tolerations: readonly Toleration[]): boolean {
  if (taint.effect === "PREFER_NO_SCHEDULE") return true;
  if (taint.key === "nvidia.com/gpu" && taint.effect === "NO_SCHEDULE") return true;
  return tolerations.some(
    ({ key, value, effect }) =>
      key === taint.key &&
      (effect === undefined || effect === effects[taint.effect ?? ""]) &&
      (value === undefined || value === (taint.value ?? "")),
  );
}

/** Issues that keep a group from creating machines (Amazon EKS API Reference, "Issue"). */
const lackOfCode: Readonly<Record<string, Lack>> = {
  InstanceLimitExceeded: "quota",
  InsufficientFreeAddresses: "addresses",
  AutoScalingGroupNotFound: "other",
  Ec2LaunchTemplateNotFound: "other",
  Ec2SecurityGroupNotFound: "other",
  Ec2SubnetNotFound: "other",
  IamInstanceProfileNotFound: "other",
};

/** The codes of EC2 in the message of a failed launch (Amazon EC2 API Reference, error codes). */
const lackOfLaunch: readonly (readonly [RegExp, Lack])[] = [
  [/InsufficientInstanceCapacity|InsufficientHostCapacity|InsufficientCapacity|UnfulfillableCapacity/, "machines"],
  [/LimitExceeded|MaxSpotInstanceCountExceeded/, "quota"],
  [/InsufficientFreeAddresses/, "addresses"],
];

function findLack({ code, message = "" }: Issue): Lack | undefined {
  if (code !== "AsgInstanceLaunchFailures") return lackOfCode[code ?? ""];
  return lackOfLaunch.find(([pattern]) => pattern.test(message))?.[1] ?? "other";
}
