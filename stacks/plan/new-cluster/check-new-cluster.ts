import type { ClusterReport } from "../../../packages/core/ports/cluster-report.ts";
import type { NewCluster } from "../../cluster/settings.ts";
import type { Stage } from "../../stage.ts";
import type { Environment } from "../aws-client.ts";
import { checkExisting, type Existing, isOfStage, isWorking, readExisting } from "./existing-cluster.ts";
import { checkKeptParts } from "./kept-parts.ts";
import { checkZones } from "./offered-zones.ts";
import { checkReservations, hasReservations } from "./reservations.ts";
import { checkSubnets } from "./subnets.ts";

/** A stage that makes its own cluster. */
export type ClusterStage = Stage & { readonly newCluster: NewCluster };

export function makesOwnCluster(stage: Stage): stage is ClusterStage {
  return stage.newCluster !== undefined;
}

export interface ClusterChecks {
  /** The reports of checks whose findings would stop any deployment, also one that only ends the cluster's protection. */
  readonly impossible: readonly ClusterReport[];
  /**
   * The reports of checks on what would stop a deployment half-way, when other parts of the cluster are made and
   * protected. `npm run deploy` refuses what they find, unless EKS_PROTECT=0 is set.
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
  const own = "value" in found && found.value && isOfStage(found.value, stage) ? found.value : undefined;
  const mayBeMade = !("value" in found) || own !== undefined;
  const reservations = hasReservations(newCluster) ? [checkReservations(newCluster, environment)] : [];
  const impossible = [
    checkExisting(found, stage),
    ...(own && isWorking(own) ? [checkKeptParts(own, stage, environment)] : []),
  ];
  const refused = [
    checkZones(newCluster, environment),
    ...(mayBeMade ? [] : reservations),
    ...(newCluster.subnets ? [checkSubnets(newCluster.subnets, newCluster, environment)] : []),
  ];
  return {
    impossible: await Promise.all(impossible),
    refused: await Promise.all(refused),
    warned: await Promise.all(mayBeMade ? reservations : []),
  };
}
