import { systemClock } from "#aws/clock.ts";
import { jsonLog } from "#aws/log.ts";
import { readConfig } from "#aws/settings/config.ts";
import type { Blobs } from "#core/ports/blobs.ts";
import type { Compute, MachineState, NodeRef } from "#core/ports/compute.ts";
import { kubernetesCompute } from "#kubernetes/compute.ts";
import { eksPlace, namespace } from "./eks-cluster.ts";

interface EksSurroundings {
  machineOf(node: NodeRef): Promise<MachineState>;
  /** The store for lists of files of disks. undefined for functions that remove no runs. */
  readonly blobs: Blobs | undefined;
}

/** The whole driver on the EKS cluster of this deployment. Throws for a deployment whose name no run could carry. */
export function eksCompute({ machineOf, blobs }: EksSurroundings): Compute {
  const config = readConfig(["NODE_TYPES", "TOOLS_IMAGE", "IDLE_GPU_MINUTES"]);
  const { NODE_TYPES, TOOLS_IMAGE, IDLE_GPU_MINUTES } = config;
  const { client, deployment } = eksPlace();
  const { now } = systemClock();
  return kubernetesCompute({
    client,
    namespace,
    deployment,
    now,
    machineOf,
    blobs,
    log: jsonLog(),
    nodeTypes: NODE_TYPES,
    toolsImage: TOOLS_IMAGE,
    watchesGpus: IDLE_GPU_MINUTES !== undefined,
  });
}
