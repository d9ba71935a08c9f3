import type { ApiClient } from "../client/api-client.ts";
import type { Manifest } from "./manifests.ts";
import { findOwner } from "./object-owner.ts";

const namespace = "berth-system";
const marker = "berth/pod-capabilities";

/**
 * The deployment of the objects that `cluster:apply` makes without a stage. The deployment of a stage is `berth-<stage>`,
 * so no stage prunes these objects.
 */
export const NO_STAGE = "no-stage";

/**
 * Returns the object by which a stage says that it needs deploy/kubernetes/capabilities, which all stages on a cluster
 * share. It belongs to the stage, so no other stage prunes it.
 */
export function markCapabilities(deployment: string): Manifest {
  const metadata = { name: `${deployment}-pod-capabilities`, namespace, labels: { [marker]: "true" } };
  return { apiVersion: "v1", kind: "ConfigMap", metadata };
}

/** Lists the deployments on a cluster that need deploy/kubernetes/capabilities. */
export async function listCapabilityStages(client: Pick<ApiClient, "list">): Promise<string[]> {
  const path = `/api/v1/namespaces/${namespace}/configmaps?labelSelector=${encodeURIComponent(marker)}`;
  const { items } = await client.list(path, (found: Manifest) => [findOwner(found) ?? []].flat());
  return items.toSorted();
}
