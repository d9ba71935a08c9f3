import { systemClock } from "#aws/clock.ts";
import { readConfig } from "#aws/config.ts";
import { eksAccess, eksClient } from "#aws/eks-access.ts";
import { jsonLog } from "#aws/log.ts";
import type { Compute, MachineState, NodeRef } from "#core/ports/compute.ts";
import { apiClient } from "#kubernetes/api-client.ts";
import { kubernetesCompute } from "#kubernetes/compute.ts";
import { laterClient } from "./later-client.ts";

/**
 * For requests, which run commands in what is there: they ask nobody what became of a machine, so that their bundles
 * hold no client of EC2.
 */
export const compute = (): Compute => eksCompute(async () => "unknown");

/** Of deploy/kubernetes. */
const namespace = "berth-environments";
/** It is a label of every run (RFC 1123). */
const labelForm = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** The EKS cluster of this deployment, which has the name of its table. Throws for a name that no run could carry. */
export function eksCompute(machineOf: (node: NodeRef) => Promise<MachineState>): Compute {
  const config = readConfig(["TABLE_NAME", "EKS_CLUSTER", "EKS_ENDPOINT", "EKS_CA", "NODE_TYPES", "TOOLS_IMAGE"]);
  const {
    TABLE_NAME: deployment,
    EKS_CLUSTER: cluster,
    EKS_ENDPOINT: endpoint,
    EKS_CA,
    NODE_TYPES,
    TOOLS_IMAGE,
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
    ...{ client, namespace, deployment, now, machineOf },
    ...{ nodeTypes: NODE_TYPES, toolsImage: TOOLS_IMAGE, log: jsonLog() },
  });
}
