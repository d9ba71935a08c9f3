import { joinReports } from "../../../packages/aws/cluster-check/findings.ts";
import type { FunctionsFile } from "../../compute/functions-file.ts";
import type { Environment } from "../aws-client.ts";
import { clusterLines, findClusterNeeds, findEksClient, findingLines } from "../cluster-plan.ts";
import { findDiskNeed, findVcpuNeeds } from "../planned-machines.ts";
import { checkQuotas, type QuotaNeed } from "../quota-check.ts";
import { type ClusterStage, checkNewCluster } from "./check-new-cluster.ts";
import { findCountedNeeds } from "./counted-needs.ts";
import { type Existing, isOfStage, isWorking, readExisting, versionLines } from "./existing-cluster.ts";

/**
 * Returns the lines of a plan that need the account: what a new cluster lacks there, and what exists of it.
 * `needsOfStage`: quotas for what the stage makes beside its cluster.
 */
export async function accountLines(
  stage: ClusterStage,
  functions: FunctionsFile,
  environment: Environment,
  needsOfStage: readonly QuotaNeed[],
): Promise<string[]> {
  const existing = await readExisting(stage, environment);
  const { impossible, refused, warned } = await checkNewCluster(stage, environment, existing);
  const reports = [...impossible, ...refused, ...warned];
  const counted = await findCountedNeeds(stage, environment);
  const needs = [...needsOfStage, ...findVcpuNeeds(stage.newCluster), findDiskNeed(stage.newCluster), ...counted.needs];
  const quotas = await checkQuotas(needs, environment);
  const report = joinReports([...reports, quotas, { findings: [], leftOut: counted.leftOut }]);
  return [
    "The account's answers about the new cluster:",
    ...findingLines(report, reports.length + needs.length + counted.leftOut.length),
    ...(await existingLines(stage, existing, functions, environment)),
  ];
}

async function existingLines(
  stage: ClusterStage,
  existing: Existing,
  functions: FunctionsFile,
  environment: Environment,
): Promise<string[]> {
  const cluster = "value" in existing ? existing.value : undefined;
  // The account's answers say what to do about a cluster that does not work.
  if (!cluster || !isOfStage(cluster, stage) || !isWorking(cluster)) return [];
  const needs = findClusterNeeds(stage, functions, environment.DEPLOY_ACCOUNT);
  const lacks = await clusterLines(await findEksClient(environment), needs);
  return ["", ...versionLines(cluster, stage), "", ...lacks];
}
