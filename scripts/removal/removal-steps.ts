import type { ApiClient } from "#kubernetes/client/api-client.ts";
import { nameNewCluster } from "../../stacks/cluster/settings.ts";
import type { Environment } from "../../stacks/plan/aws-client.ts";
import { makesOwnCluster } from "../../stacks/plan/new-cluster/check-new-cluster.ts";
import { type Existing, findWait, isOfStage, readExisting } from "../../stacks/plan/new-cluster/existing-cluster.ts";
import type { Stage } from "../../stacks/stage.ts";
import { describeForeign, openCluster, type Settings } from "../cluster/open-cluster.ts";
import {
  type ClosedCluster,
  environments,
  findInCluster,
  objectsOfOthers,
  objectsOfStage,
  opening,
} from "./left-in-cluster.ts";
import { findDisks, findInNetwork } from "./left-in-ec2.ts";
import { findOtherStages } from "./left-in-eks.ts";
import type { RemovalStep } from "./removal-step.ts";

/**
 * Returns what must be gone before a stage is removed, in this order: jobs hold volumes, the stage's functions purge these,
 * and the cluster deletes its load balancers. Each would otherwise stop the removal, or stay and cost money.
 */
export async function findRemovalSteps(
  stage: Stage,
  settings: Settings,
  kubeconfig: string | undefined,
): Promise<RemovalStep[]> {
  const environment = { ...process.env, ...settings };
  const existing = await readExisting(stage, environment);
  const cluster = await openForRemoval(stage, existing, kubeconfig);
  const find = (step: typeof environments) => findInCluster(step, cluster, stage.tableName);
  try {
    return [
      await find(environments),
      await findDisks(stage, environment),
      await find(objectsOfStage),
      ...(makesOwnCluster(stage)
        ? [
            await findOtherStages(stage, existing, environment),
            await find(objectsOfOthers),
            await findInNetwork(stage, environment),
            findProtection(stage.newCluster.isProtected, existing),
          ]
        : await findFormerCluster(stage, environment)),
    ];
  } finally {
    if (cluster && "close" in cluster) cluster.close();
  }
}

/** Opens the stage's cluster. Returns undefined if it is gone, or was never finished. */
async function openForRemoval(
  stage: Stage,
  existing: Existing,
  kubeconfig: string | undefined,
): Promise<ApiClient | ClosedCluster | undefined> {
  if ("refusal" in existing) return existing;
  if (!existing.value) return undefined;
  const { status } = existing.value;
  // Pulumi deletes what is in its state, whatever its tags are.
  if (stage.newCluster && !isOfStage(existing.value, stage))
    return { refusal: describeForeign(stage), todo: ofForeign };
  if (status === "FAILED") return undefined;
  const wait = findWait(status, stage);
  if (wait) return { refusal: `it is ${status}`, todo: `Run this again when this returns: ${wait}` };
  try {
    return (await openCluster({ stage: stage.name, kubeconfig })).client;
  } catch (error) {
    return { refusal: error instanceof Error ? error.message : String(error), todo: opening };
  }
}

const ofForeign =
  "If this stage made it, restore the tags sst:app and sst:stage. If it never had a cluster, --force removes the stage";

/**
 * Finds the cluster of a stage whose settings name another one. SST deletes what it has made, whatever the settings are.
 * Returns no step for a stage that made none.
 */
async function findFormerCluster({ name, eksCluster }: Stage, environment: Environment): Promise<RemovalStep[]> {
  const former = { name, eksCluster: nameNewCluster(name) };
  const existing = await readExisting(former, environment);
  const cluster = "value" in existing ? existing.value : undefined;
  if ("value" in existing && !(cluster && isOfStage(cluster, former))) return [];
  const what = "the cluster that the stage made";
  const left = "value" in existing ? { value: [former.eksCluster] } : existing;
  const wait = findWait(cluster?.status, former);
  if (wait) return [{ what, left, todo: `It is ${cluster?.status}. Run this again when this returns: ${wait}` }];
  const todo =
    `The settings name ${eksCluster}, and the removal would delete this one with all that is on it. Set EKS_CLUSTER=new ` +
    "again, with EKS_ZONES and EKS_NODE_GROUPS, and run this again";
  return [{ what, left, todo }];
}

function findProtection(isProtected: boolean, existing: Existing): RemovalStep {
  const what = "protection of the cluster";
  const todo = "Set EKS_PROTECT=0, and deploy. That ends the protection also if the deployment fails again";
  if (isProtected) return { what, left: { value: ["EKS_PROTECT is not 0"] }, todo };
  if ("refusal" in existing) return { what, left: existing, todo };
  const { name, deletionProtection } = existing.value ?? {};
  return { what, left: { value: deletionProtection ? [`EKS protects ${name}`] : [] }, todo };
}
