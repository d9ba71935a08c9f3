import { systemClock } from "#aws/clock.ts";
import { jsonLog } from "#aws/log.ts";
import { readConfigOf } from "#aws/settings/config.ts";
import { allSettingSchemas } from "#aws/settings/pod-setting-schemas.ts";
import { readPodSettings } from "#aws/settings/pod-settings.ts";
import type { Blobs } from "#core/ports/blobs.ts";
import type { Compute, MachineState, NodeRef } from "#core/ports/compute.ts";
import { RUN_SSH_PORT } from "#kubernetes/access/ssh-service.ts";
import { kubernetesCompute } from "#kubernetes/compute.ts";
import { eksPlace, namespace } from "./eks-cluster.ts";

interface EksSurroundings {
  getMachineState(node: NodeRef): Promise<MachineState>;
  readonly blobs: Blobs | undefined;
}

/** Returns the full driver for this deployment's EKS cluster. Throws if the deployment's name is not a valid label. */
export function eksCompute({ getMachineState, blobs }: EksSurroundings): Compute {
  const names = ["NODE_TYPES", "NODE_TOLERATIONS", "TOOLS_IMAGE", "IDLE_GPU_MINUTES", "CLUSTER_SSH"] as const;
  const { NODE_TYPES, NODE_TOLERATIONS, TOOLS_IMAGE, ...config } = readConfigOf(allSettingSchemas, names);
  const { client, deployment } = eksPlace();
  const { now } = systemClock();
  return kubernetesCompute({
    client,
    namespace,
    deployment,
    now,
    getMachineState,
    blobs,
    log: jsonLog(),
    nodeTypes: NODE_TYPES,
    tolerations: NODE_TOLERATIONS,
    pods: readPodSettings(),
    toolsImage: TOOLS_IMAGE,
    // Nothing forwards SSH here. A gateway needs no SSH server in the run.
    sshPort: config.CLUSTER_SSH === "nodeport" ? RUN_SSH_PORT : undefined,
    watchesGpus: config.IDLE_GPU_MINUTES !== undefined,
  });
}
