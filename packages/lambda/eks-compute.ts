import { systemClock } from "#aws/clock.ts";
import { readConfig } from "#aws/config.ts";
import { eksAccess, eksClient } from "#aws/eks-access.ts";
import { jsonLog } from "#aws/log.ts";
import type { Blobs } from "#core/ports/blobs.ts";
import type { Compute, MachineState, NodeRef } from "#core/ports/compute.ts";
import { apiClient } from "#kubernetes/api-client.ts";
import { kubernetesCompute } from "#kubernetes/compute.ts";
import { laterClient } from "./later-client.ts";

/**
 * For requests, which run commands in what is there: they ask nobody what became of a machine, so that their bundles
 * hold no client of EC2.
 */
export const compute = (): Compute => eksCompute({ machineOf: async () => "unknown", blobs: undefined });

/** Of deploy/kubernetes. */
const namespace = "berth-environments";
/** It is a label of every run (RFC 1123). */
const labelForm = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

interface EksSurroundings {
  machineOf(node: NodeRef): Promise<MachineState>;
  /** Where runs leave the lists of their disks' files; undefined: it removes none. */
  readonly blobs: Blobs | undefined;
}

/** The EKS cluster of this deployment, which has the name of its table. Throws for a name that no run could carry. */
export function eksCompute({ machineOf, blobs }: EksSurroundings): Compute {
  const config = readConfig([
    ...(["TABLE_NAME", "EKS_CLUSTER", "EKS_ENDPOINT", "EKS_CA"] as const),
    ...(["NODE_TYPES", "TOOLS_IMAGE", "IDLE_GPU_MINUTES"] as const),
  ]);
  const {
    TABLE_NAME: deployment,
    EKS_CLUSTER: cluster,
    EKS_ENDPOINT: endpoint,
    EKS_CA,
    NODE_TYPES,
    TOOLS_IMAGE,
    IDLE_GPU_MINUTES,
  } = config;
  if (!labelForm.test(deployment)) {
    throw new Error(
      "Bad settings:\n  TABLE_NAME must be 1 to 63 of a-z, 0-9 and - where environments run on a cluster",
    );
  }
  const clock = systemClock();
  const ca = EKS_CA && Buffer.from(EKS_CA, "base64").toString();
  const client = laterClient(async () =>
    apiClient(await eksAccess({ client: eksClient(), cluster, endpoint, ca, clock })),
  );
  const { now } = clock;
  return kubernetesCompute({
    ...{ client, namespace, deployment, now, machineOf, blobs, log: jsonLog() },
    ...{ nodeTypes: NODE_TYPES, toolsImage: TOOLS_IMAGE, watchesGpus: IDLE_GPU_MINUTES !== undefined },
  });
}
