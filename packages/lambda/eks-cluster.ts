import { systemClock } from "#aws/clock.ts";
import { eksAccess, eksService } from "#aws/eks/eks-access.ts";
import { readConfig } from "#aws/settings/config.ts";
import { apiClient } from "#kubernetes/client/api-client.ts";
import { buildPaths } from "#kubernetes/paths.ts";
import type { ClusterContext } from "#kubernetes/runs/read-run.ts";
import { laterClient } from "./lazy-client.ts";

/** Namespace that deploy/kubernetes creates. */
export const namespace = "berth-environments";
/** A label of every run (RFC 1123). */
const labelForm = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Returns this deployment's cluster and namespace. Throws if the name of the table is not a valid label. */
export function eksPlace(): ClusterContext {
  const config = readConfig(["TABLE_NAME", "EKS_CLUSTER", "EKS_ENDPOINT", "EKS_CA"]);
  const { TABLE_NAME: deployment, EKS_CLUSTER: cluster, EKS_ENDPOINT: endpoint, EKS_CA } = config;
  if (!labelForm.test(deployment)) {
    throw new Error(
      "Bad settings:\n  TABLE_NAME must be 1 to 63 characters of a-z, 0-9 and - if environments run on a cluster",
    );
  }
  const ca = EKS_CA && Buffer.from(EKS_CA, "base64").toString();
  const eks = eksService();
  const client = laterClient(async () =>
    apiClient(await eksAccess({ eks, cluster, endpoint, ca, clock: systemClock() })),
  );
  return { client, paths: buildPaths(namespace), deployment };
}
