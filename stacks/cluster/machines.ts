import { groupLabel } from "#kubernetes/nodes/node-type.ts";
import { SELECTABLE_TAG } from "../../packages/aws/eks/selectable-tag.ts";
import { MACHINE_TAG } from "./cluster-roles.ts";
import { countEfaInterfaces, EFA_RESOURCE } from "./efa.ts";
import { makeEfaArgs } from "./efa-template.ts";
import type { ClusterNetwork } from "./network.ts";
import type { AmiType, NodeGroup } from "./node-group-schema.ts";
import {
  chooseAmi,
  chooseCapacity,
  EFA_TAG,
  getType,
  SYSTEM_DISK_GB,
  SYSTEM_GROUP,
  SYSTEM_MACHINES,
  SYSTEM_TYPE,
} from "./node-groups.ts";

type Text = $util.Input<string>;

export interface MachineParts {
  /** Machines are created after it. */
  readonly cluster: aws.eks.Cluster;
  readonly clusterName: string;
  readonly version: string;
  readonly network: ClusterNetwork;
  readonly role: Text;
  /** Add-ons and rights without which a machine does not become ready. */
  readonly after: readonly $util.Resource[];
  readonly keep: $util.CustomResourceOptions;
}

/** Creates the group for the pods of the cluster itself, such as DNS. */
export function makeSystemMachines(parts: MachineParts): aws.eks.NodeGroup {
  const ami = "AL2023_x86_64_STANDARD";
  const template = makeTemplate(SYSTEM_GROUP, { ami, diskGb: SYSTEM_DISK_GB }, parts);
  return makeGroup(SYSTEM_GROUP, parts, {
    subnetIds: parts.network.subnetIds,
    amiType: ami,
    capacityType: "ON_DEMAND",
    instanceTypes: [SYSTEM_TYPE],
    launchTemplate: template,
    scalingConfig: { ...SYSTEM_MACHINES, desiredSize: SYSTEM_MACHINES.minSize },
  });
}

/**
 * Creates the groups of EKS_NODE_GROUPS. Each zone gets its own, because a disk stays in its zone, and the autoscaler
 * cannot choose the zone of a group's next machine (Amazon EKS Best Practices Guide, "Cluster Autoscaler", EBS volumes).
 */
export function makeMachines(groups: readonly NodeGroup[], parts: MachineParts): void {
  for (const group of groups) {
    const options = { ...group, ami: chooseAmi(group) };
    // A placement group is in one zone, and the template names it.
    const shared = group.efa ? undefined : makeTemplate(group.name, options, parts);
    for (const zone of group.zones) {
      const name = `${group.name}-${zone}`;
      const template = shared ?? makeTemplate(name, options, parts, makeEfaArgs(name, group, parts));
      makeZone(group, zone, template, parts);
    }
  }
}

function makeZone(group: NodeGroup, zone: string, launchTemplate: Template, parts: MachineParts): void {
  const { name, type, min, max, capacityBlock, efa } = group;
  const { gpus, pool } = getType(type);
  const made = makeGroup(`${name}-${zone}`, parts, {
    subnetIds: parts.network.inZone(zone),
    amiType: chooseAmi(group),
    capacityType: chooseCapacity(group),
    // A block's type is in the launch template, and EKS accepts it in one place only.
    ...(!capacityBlock && { instanceTypes: [type] }),
    launchTemplate,
    scalingConfig: { minSize: min, maxSize: max, desiredSize: min },
    // The autoscaler waits for the GPUs of machines with this label (Cluster Autoscaler, "Special note on GPU instances").
    // The template tags give the autoscaler the group's label.
    tags: { [SELECTABLE_TAG]: "true", ...(efa && { [EFA_TAG]: "true" }) },
    ...(gpus > 0 && { labels: { "k8s.amazonaws.com/accelerator": pool }, taints: [GPU_TAINT] }),
  });
  const autoscalingGroupName = made.resources.apply(([first]) => first?.autoscalingGroups?.[0]?.name ?? "");
  for (const [key, value] of Object.entries(templateTags(group, `${name}-${zone}`))) {
    const tag = { key: `${TEMPLATE}/${key}`, value, propagateAtLaunch: false };
    const short = key.split("/").pop();
    new aws.autoscaling.Tag(`Cluster-${name}-${zone}-${short}`, { autoscalingGroupName, tag }, parts.keep);
  }
}

/** Keeps pods without GPUs away. Environments tolerate it (packages/kubernetes/nodes/tolerations.ts). */
const GPU_TAINT = { key: "nvidia.com/gpu", value: "true", effect: "NO_SCHEDULE" };

const TEMPLATE = "k8s.io/cluster-autoscaler/node-template";
/** Systems, logs and the kubelet's eviction threshold take some of a disk. */
const SHARE_FOR_PODS = 0.8;

/**
 * Returns what the autoscaler cannot know of a group without machines (Cluster Autoscaler on AWS, "Auto-Discovery Setup").
 * Environments request part of a machine's disk, its GPUs, and its EFA interfaces, and may name the group.
 */
function templateTags({ type, diskGb, efa }: NodeGroup, groupName: string): Record<string, string> {
  const { gpus } = getType(type);
  return {
    [`label/${groupLabel}`]: groupName,
    "resources/ephemeral-storage": `${Math.floor(diskGb * SHARE_FOR_PODS)}Gi`,
    ...(gpus > 0 && { "resources/nvidia.com/gpu": String(gpus) }),
    ...(efa && { [`resources/${EFA_RESOURCE}`]: String(countEfaInterfaces(type)) }),
  };
}

type GroupArgs = Omit<aws.eks.NodeGroupArgs, "clusterName" | "nodeRoleArn">;

function makeGroup(name: string, parts: MachineParts, args: GroupArgs): aws.eks.NodeGroup {
  const { cluster, version, role, after, keep } = parts;
  return new aws.eks.NodeGroup(
    `Cluster-${name}`,
    {
      clusterName: cluster.name,
      nodeGroupName: name,
      nodeRoleArn: role,
      version,
      updateConfig: { maxUnavailable: 1 },
      ...args,
    },
    // The autoscaler changes the number of machines. The provider sends that of the creation with each change of a limit,
    // and EKS would end machines with jobs. EKS keeps the subnets of the creation: for others, such as those of a zone that
    // is added, the provider would replace the group.
    { ...keep, dependsOn: [...after], ignoreChanges: ["scalingConfig", "subnetIds"] },
  );
}

interface Template {
  readonly id: Text;
  readonly version: Text;
}

type TemplateOptions = { readonly ami: AmiType } & Pick<NodeGroup, "diskGb"> &
  Partial<Pick<NodeGroup, "type" | "reservation" | "capacityBlock">>;

/**
 * Creates the launch template of a group (EKS User Guide, "Customize managed nodes with launch templates"). One hop keeps
 * the credentials of a machine from its pods (Amazon EKS Best Practices Guide, "Restrict access to the instance profile
 * assigned to the worker node").
 */
function makeTemplate(
  name: string,
  options: TemplateOptions,
  { clusterName, keep }: MachineParts,
  more: aws.ec2.LaunchTemplateArgs = {},
): Template {
  const tags = { Name: `${clusterName}-${name}`, [MACHINE_TAG]: clusterName };
  const made = new aws.ec2.LaunchTemplate(
    `Cluster-${name}`,
    {
      metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
      blockDeviceMappings: [mapDisk(options)],
      tagSpecifications: ["instance", "volume"].map((resourceType) => ({ resourceType, tags })),
      updateDefaultVersion: true,
      ...reserve(options),
      ...more,
    },
    keep,
  );
  return { id: made.id, version: made.latestVersion.apply(String) };
}

/** Bottlerocket has images and logs on a second disk (its README, "Default Volumes"). */
function mapDisk({ ami, diskGb }: TemplateOptions) {
  const deviceName = ami.startsWith("BOTTLEROCKET") ? "/dev/xvdb" : "/dev/xvda";
  const ebs = { volumeType: "gp3", volumeSize: diskGb, encrypted: "true", deleteOnTermination: "true" };
  return { deviceName, ebs };
}

function reserve({ type, reservation, capacityBlock }: TemplateOptions) {
  const capacityReservationId = capacityBlock ?? reservation;
  if (!capacityReservationId) return {};
  return {
    capacityReservationSpecification: { capacityReservationTarget: { capacityReservationId } },
    ...(capacityBlock && type && { instanceType: type, instanceMarketOptions: { marketType: "capacity-block" } }),
  };
}
