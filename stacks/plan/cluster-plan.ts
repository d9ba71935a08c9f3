import { EKSClient } from "@aws-sdk/client-eks";
import { readCluster } from "../../packages/aws/cluster-check/answers.ts";
import { checkCluster } from "../../packages/aws/cluster-check/check-cluster.ts";
import type { ClusterNeeds } from "../../packages/aws/cluster-check/findings.ts";
import { readConfigOf } from "../../packages/aws/settings/config.ts";
import { allSettingSchemas } from "../../packages/aws/settings/pod-setting-schemas.ts";
import type { ClusterReport } from "../../packages/core/ports/cluster-report.ts";
import { listOwnGroups } from "../cluster/node-groups.ts";
import type { FunctionsFile } from "../compute/functions-file.ts";
import { findRole, getClusterGroup } from "../compute/roles.ts";
import { isInNetwork, type Stage } from "../stage.ts";
import { type Environment, findClient } from "./aws-client.ts";

/** Opens a client of EKS. Returns the reason as text if that is not possible. */
export async function findEksClient(environment: Environment): Promise<EKSClient | string> {
  return findClient(environment, (options) => new EKSClient(options));
}

/** Returns the lines of a plan about the stage's cluster: what it lacks, and which checks were left out. */
export async function clusterLines(client: EKSClient | string, needs: ClusterNeeds): Promise<string[]> {
  if (typeof client === "string") return leftOutLines(needs.cluster, client);
  const roleNames = needs.roles.map(({ name }) => name);
  return reportLines(needs.cluster, checkCluster(await readCluster(client, needs.cluster, roleNames), needs));
}

/** checkCluster's: the cluster, access entries, add-ons and node groups. */
const CLUSTER_CHECKS = 4;

export function reportLines(cluster: string, report: ClusterReport): string[] {
  return [`The cluster ${cluster}, as EKS describes it:`, ...findingLines(report, CLUSTER_CHECKS)];
}

/** Begins the line of each thing that is missing. */
export const MISSING = "  MISSING: ";

/** Returns the lines of a report of so many checks. */
export function findingLines({ findings, leftOut }: ClusterReport, checks: number): string[] {
  return [
    ...findings.flatMap(({ what, missing, todo }) => [`${MISSING}${what}: ${missing}.`, `    ${todo}`]),
    ...(findings.length === 0 && leftOut.length < checks ? ["  Nothing is missing of what was checked."] : []),
    ...leftOut.map(({ what, why }) => `  Not checked: ${what}: ${why}.`),
  ];
}

function leftOutLines(cluster: string, why: string): string[] {
  return [
    `The cluster ${cluster} was not checked, because ${why}. Left out:`,
    "  that it exists, in the stage's account, with an endpoint that the functions reach",
    "  its authentication mode, and the access entries of the stage's roles",
    "  the add-ons for disks, network policies and the gateway's role",
    "  node groups with GPU types, their maximum, taints and health, and their device plugin",
  ];
}

/** Returns what a stage needs of its cluster. */
export function findClusterNeeds(stage: Stage, functions: FunctionsFile, account: string | undefined): ClusterNeeds {
  const names = ["NODE_TOLERATIONS", "NODE_TYPES", "NODE_GROUPS"] as const;
  const settings = readConfigOf(allSettingSchemas, names, stage.settings);
  const kinds = functions.map(findRole).filter(({ uses }) => uses.includes("compute"));
  const groups = new Map(kinds.map((kind) => [kind.name, getClusterGroup(kind)]));
  return {
    cluster: stage.eksCluster,
    stage: stage.name,
    isOwn: stage.newCluster !== undefined,
    ownGroups: stage.newCluster ? listOwnGroups(stage.newCluster) : [],
    account: account || undefined,
    roles: [...groups].map(([name, group]) => ({ name, group })),
    isPrivate: isInNetwork(stage),
    hasGateway: stage.gateway !== undefined,
    tolerations: settings.NODE_TOLERATIONS,
    nodeTypes: settings.NODE_TYPES,
    otherPools: settings.NODE_GROUPS.map(({ pool }) => pool),
  };
}
