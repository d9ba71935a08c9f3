import { type ClusterAddress, readClusterAddress } from "../compute/cluster-address.ts";
import type { FunctionNetwork } from "../compute/functions.ts";
import type { Stage } from "../stage.ts";
import { makeCluster } from "./cluster.ts";

/** The cluster of a stage, as its functions and roles use it. */
export interface StageCluster {
  /** Resources that take this name of a new cluster are created after it. */
  readonly name: $util.Input<string>;
  readonly address: ClusterAddress;
  readonly network: FunctionNetwork | undefined;
  /** The settings by which another stage uses a cluster that this stage makes. */
  readonly settingsForOthers?: $util.Input<string>;
}

/** Finds the stage's cluster, or creates it with EKS_CLUSTER=new. `key` encrypts the Secrets of a new one. */
export function openCluster(stage: Stage, key: aws.kms.Key): StageCluster {
  if (stage.newCluster) return makeCluster(stage, stage.newCluster, key);
  return { name: stage.eksCluster, address: readClusterAddress(stage), network: stage.network };
}
