import type { Issue, Nodegroup } from "@aws-sdk/client-eks";
import { findInstanceType, gpuResource } from "#core/fleet.ts";
import type { ClusterReport, Finding, LeftOut } from "#core/ports/cluster-report.ts";
import type { Lack } from "#core/ports/machine-groups.ts";
import { findLack } from "../eks/health-issues.ts";
import { createsMachines, isBlock, isTolerated, listTypes } from "../eks/node-groups.ts";
import { type ClusterNeeds, describeIssue, type OwnGroup, toMake } from "./findings.ts";

/** `isAuto`: the cluster is in EKS Auto Mode, whose machines belong to no node group. */
export function checkNodeGroups(groups: readonly Nodegroup[], needs: ClusterNeeds, isAuto: boolean): ClusterReport {
  const perGroup = groups.flatMap((group) => [...findHealth(group, needs), ...findUse(group, needs)]);
  const leftOut = [...findDevicePlugin(groups, needs), ...findBlocks(groups), ...findOverridden(groups, needs)];
  const perOwn = needs.ownGroups.flatMap((own) => findDifference(own, groups, needs));
  return { findings: [...findNoGpus(groups, needs, isAuto), ...perOwn, ...perGroup], leftOut };
}

/** A deployment leaves the limits of a group that exists (docs/own-cluster.md, "Change a group"). */
function findDifference({ name, ...wanted }: OwnGroup, groups: readonly Nodegroup[], needs: ClusterNeeds): Finding[] {
  const what = `node group ${name}`;
  const group = groups.find(({ nodegroupName }) => nodegroupName === name);
  if (!group) return [{ what, missing: "the stage makes it, and EKS has none", todo: toMake(needs, "") }];
  const { minSize = 0, maxSize = 0 } = group.scalingConfig ?? {};
  if (minSize === wanted.minSize && maxSize === wanted.maxSize) return [];
  const missing = `it has ${minSize} to ${maxSize} machines, and the stage's settings ${wanted.minSize} to ${wanted.maxSize}`;
  const limits = `minSize=${wanted.minSize},maxSize=${wanted.maxSize}`;
  const todo = `aws eks update-nodegroup-config ${place(needs, group)} --scaling-config ${limits}, or change the settings`;
  return [{ what, missing, todo }];
}

/** Returns the types of a group that Berth knows. */
function findTypes(group: Nodegroup, { nodeTypes }: ClusterNeeds) {
  return listTypes(group, nodeTypes).flatMap((name) => findInstanceType(name) ?? []);
}

function hasGpus(group: Nodegroup, needs: ClusterNeeds): boolean {
  return findTypes(group, needs).some(({ gpus }) => gpus > 0);
}

/** Other GPUs, such as those of Trainium, have their own drivers and device plugins. */
function hasNvidiaGpus(group: Nodegroup, needs: ClusterNeeds): boolean {
  return findTypes(group, needs).some((type) => type.gpus > 0 && gpuResource(type).startsWith("nvidia.com/"));
}

function findNoGpus(groups: readonly Nodegroup[], needs: ClusterNeeds, isAuto: boolean): Finding[] {
  if (isAuto || needs.otherPools.length > 0 || groups.some((group) => isBlock(group) || hasGpus(group, needs)))
    return [];
  const missing = groups.length === 0 ? "the cluster has none" : "none of them has a GPU type that Berth knows";
  const todo =
    "Create one with a type of docs/apis/gpu-dev.md#instance-types, or name Karpenter's types in NODE_GROUPS";
  return [{ what: "node groups", missing, todo: toMake(needs, todo) }];
}

const place = ({ cluster }: ClusterNeeds, { nodegroupName }: Nodegroup) =>
  `--cluster-name ${cluster} --nodegroup-name ${nodegroupName}`;

/** Returns what AWS reports about any group, because pods of the cluster itself run on groups of other types too. */
function findHealth(group: Nodegroup, needs: ClusterNeeds): Finding[] {
  const what = `node group ${group.nodegroupName}`;
  const details = `aws eks describe-nodegroup ${place(needs, group)} has the details`;
  const issues = (group.health?.issues ?? []).map((issue) => ({
    what,
    missing: `EKS reports ${describeIssue(issue)}`,
    todo: adviceFor(issue, group) ?? details,
  }));
  if (createsMachines(group)) return issues;
  return [{ what, missing: `it is ${group.status}, so it creates no machines`, todo: details }, ...issues];
}

const advice: Readonly<Record<Lack, string | undefined>> = {
  machines: "AWS has no such machines now: jobs wait. Add subnets in other zones, another type, or a capacity block",
  quota: "Ask AWS for a higher quota of vCPUs of this family (Service Quotas, EC2), on demand or spot",
  addresses: "Free addresses in the group's subnets, or add subnets",
  other: undefined,
};

function adviceFor(issue: Issue, group: Nodegroup): string | undefined {
  const lack = findLack(issue);
  if (isBlock(group) && (lack === "machines" || lack === "other"))
    return `Outside of its block's time, wait: ${blockTime}`;
  return lack && advice[lack];
}

/** Amazon EC2 User Guide, "Capacity Blocks for ML": EC2 ends the machines in the last 30 minutes. */
const blockTime =
  "a Capacity Block has machines from its start until 30 minutes before its end. EKS shows neither, but " +
  "aws ec2 describe-capacity-reservations does, and the capacity schedule reads both";

/** A group of a block has no machine before and after, which is no fault. */
function findBlocks(groups: readonly Nodegroup[]): LeftOut[] {
  const names = groups.filter(isBlock).map(({ nodegroupName }) => nodegroupName);
  return names.length === 0 ? [] : [{ what: `time of ${names.join(", ")}`, why: blockTime }];
}

/** NODE_GROUPS wins where it contradicts a group of EKS, so its limits, zones and health do not matter. */
function findOverridden(groups: readonly Nodegroup[], needs: ClusterNeeds): LeftOut[] {
  return groups.flatMap((group) => {
    const types = findTypes(group, needs).filter(({ pool }) => needs.otherPools.includes(pool));
    if (types.length === 0) return [];
    const names = types.map(({ name }) => name).join(", ");
    const why = `NODE_GROUPS names ${names}, so jobs wait by its limits and zones, not by those of this group`;
    return [{ what: `node group ${group.nodegroupName}`, why }];
  });
}

/** Returns why the capacity schedule does not count a group with types of Berth, unless NODE_GROUPS overrides it. */
function findUse(group: Nodegroup, needs: ClusterNeeds): Finding[] {
  const { nodegroupName, scalingConfig, taints = [] } = group;
  const instanceTypes = listTypes(group, needs.nodeTypes);
  const what = `node group ${nodegroupName}`;
  // Which pool of NODE_GROUPS is that of a block, EKS does not say.
  if (isBlock(group) && needs.otherPools.length > 0) return [];
  if (instanceTypes.length === 0 && !isBlock(group)) {
    const missing = "its machine type is in its launch template, which Berth does not read";
    return [{ what, missing, todo: "If jobs are to use it, name the type in NODE_GROUPS" }];
  }
  const types = findTypes(group, needs);
  const isOther = types.length === 0 || types.every(({ pool }) => needs.otherPools.includes(pool));
  // The type of a block is in its launch template, which only the schedule reads. Blocks have GPUs or Trainium.
  if (isOther && !isBlock(group)) return [];
  const found: Finding[] = [];
  if (instanceTypes.length > 1) {
    const missing = `it has ${instanceTypes.length} machine types, and Berth counts only groups of one`;
    found.push({ what, missing, todo: "Create a group for each type" });
  }
  if (scalingConfig?.maxSize === 0) {
    const todo = `aws eks update-nodegroup-config ${place(needs, group)} --scaling-config maxSize=<machines>`;
    found.push({ what, missing: "its maximum is 0, so it creates no machines", todo });
  }
  const taint = taints.find((each) => !isTolerated(each, needs.tolerations));
  if (taint) {
    const missing = `its taint ${taint.key} keeps jobs out`;
    found.push({ what, missing, todo: `Add ${taint.key} to NODE_TOLERATIONS, or remove the taint` });
  }
  return [...found, ...findDriver(group, needs)];
}

/** EKS User Guide, "Use EKS-optimized accelerated AMIs for GPU instances": only these bring NVIDIA's driver. */
const BRINGS_DRIVER = /NVIDIA|^AL2_x86_64_GPU$/;

function findDriver(group: Nodegroup, needs: ClusterNeeds): Finding[] {
  const { nodegroupName, amiType = "CUSTOM" } = group;
  if (!hasNvidiaGpus(group, needs) || amiType === "CUSTOM" || BRINGS_DRIVER.test(amiType)) return [];
  const todo =
    "Create the group with AL2023_x86_64_NVIDIA or BOTTLEROCKET_x86_64_NVIDIA, unless the GPU Operator installs it";
  return [{ what: `node group ${nodegroupName}`, missing: `its AMI type ${amiType} has no NVIDIA driver`, todo }];
}

/**
 * Bottlerocket's AMIs include NVIDIA's device plugin, those of Amazon Linux do not (EKS User Guide, "Install Kubernetes
 * device plugin for GPUs"). EKS does not tell whether the cluster has it.
 */
function findDevicePlugin(groups: readonly Nodegroup[], needs: ClusterNeeds): LeftOut[] {
  const without = groups.filter(
    (group) => hasNvidiaGpus(group, needs) && !/^BOTTLEROCKET_.*NVIDIA/.test(group.amiType ?? ""),
  );
  if (without.length === 0) return [];
  const names = without.map(({ nodegroupName, amiType }) => `${nodegroupName} (${amiType})`).join(", ");
  const why = `${names} need it installed, which EKS does not show: kubectl get daemonsets -A | grep nvidia-device-plugin`;
  return [{ what: "NVIDIA's device plugin", why }];
}
