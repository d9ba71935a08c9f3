import type { ClusterReport } from "../../../packages/core/ports/cluster-report.ts";
import type { NewCluster } from "../../cluster/settings.ts";
import type { Stage } from "../../stage.ts";
import type { Environment } from "../aws-client.ts";
import { checkExisting, type Existing, isOfStage, readExisting } from "./existing-cluster.ts";
import { checkZones } from "./offered-zones.ts";
import { checkReservations, hasReservations } from "./reservations.ts";
import { checkSubnets } from "./subnets.ts";

/** A stage that makes its own cluster. */
export type ClusterStage = Stage & { readonly newCluster: NewCluster };

export function makesOwnCluster(stage: Stage): stage is ClusterStage {
  return stage.newCluster !== undefined;
}

export interface ClusterChecks {
  /**
   * The report of each check on what would stop a deployment half-way, when other parts of the cluster are made and
   * protected. `npm run deploy` refuses what they find.
   */
  readonly refused: readonly ClusterReport[];
  /** Reports on groups of a cluster that may exist: a Capacity Block that is over stops no deployment of it. */
  readonly warned: readonly ClusterReport[];
}

export async function checkNewCluster(
  stage: ClusterStage,
  environment: Environment,
  existing?: Existing,
): Promise<ClusterChecks> {
  const { newCluster } = stage;
  const found = existing ?? (await readExisting(stage, environment));
  const mayBeMade = !("value" in found) || (found.value !== undefined && isOfStage(found.value, stage));
  const reservations = hasReservations(newCluster) ? [checkReservations(newCluster, environment)] : [];
  const refused = [
    checkExisting(found, stage),
    checkZones(newCluster, environment),
    ...(mayBeMade ? [] : reservations),
    ...(newCluster.subnets ? [checkSubnets(newCluster.subnets, newCluster, environment)] : []),
  ];
  return { refused: await Promise.all(refused), warned: await Promise.all(mayBeMade ? reservations : []) };
}
