import type { ClusterReport } from "../../../packages/core/ports/cluster-report.ts";
import type { NewCluster } from "../../cluster/settings.ts";
import type { Stage } from "../../stage.ts";
import type { Environment } from "../aws-client.ts";
import { checkExisting, type Existing, readExisting } from "./existing-cluster.ts";
import { checkZones } from "./offered-zones.ts";
import { checkReservations, hasReservations } from "./reservations.ts";
import { checkSubnets } from "./subnets.ts";

/** A stage that makes its own cluster. */
export type ClusterStage = Stage & { readonly newCluster: NewCluster };

export function makesOwnCluster(stage: Stage): stage is ClusterStage {
  return stage.newCluster !== undefined;
}

/**
 * Returns the report of each check on what would stop a deployment half-way, when other parts of the cluster are made and
 * protected. `npm run deploy` refuses what they find.
 */
export async function checkNewCluster(
  stage: ClusterStage,
  environment: Environment,
  existing?: Existing,
): Promise<ClusterReport[]> {
  const { newCluster } = stage;
  return Promise.all([
    checkExisting(existing ?? (await readExisting(stage, environment)), stage),
    checkZones(newCluster, environment),
    ...(hasReservations(newCluster) ? [checkReservations(newCluster, environment)] : []),
    ...(newCluster.subnets ? [checkSubnets(newCluster.subnets, newCluster, environment)] : []),
  ]);
}
