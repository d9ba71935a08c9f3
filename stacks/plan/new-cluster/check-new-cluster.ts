import type { ClusterReport } from "../../../packages/core/ports/cluster-report.ts";
import type { NewCluster } from "../../cluster/settings.ts";
import type { Environment } from "../aws-client.ts";
import { checkZones } from "./offered-zones.ts";
import { checkReservations, hasReservations } from "./reservations.ts";
import { checkSubnets } from "./subnets.ts";

/**
 * Returns the report of each check on what would stop a deployment half-way, when other parts of the cluster are made and
 * protected. `npm run deploy` refuses what they find.
 */
export function checkNewCluster(wanted: NewCluster, environment: Environment): Promise<ClusterReport[]> {
  return Promise.all([
    checkZones(wanted, environment),
    ...(hasReservations(wanted) ? [checkReservations(wanted, environment)] : []),
    ...(wanted.subnets ? [checkSubnets(wanted.subnets, wanted, environment)] : []),
  ]);
}
