import { systemClock } from "#aws/clock.ts";
import { eksAccess, eksService } from "#aws/eks/eks-access.ts";
import { readConfig } from "#aws/settings/config.ts";
import { type ApiClient, apiClient } from "#kubernetes/client/api-client.ts";
import { inTime } from "#kubernetes/client/exchange.ts";
import { buildPaths } from "#kubernetes/paths.ts";
import type { ClusterContext } from "#kubernetes/runs/read-run.ts";

/** Deadline of a call of the client itself (packages/kubernetes/client/api-client.ts). */
const deadlineMs = 5_000;

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

/**
 * Returns a client that its first call creates, because factories are synchronous. A call that waits past its deadline
 * is dropped: it could act on an old decision (docs/architecture/consistency.md#paused-workers).
 */
export function laterClient(
  make: () => Promise<ApiClient>,
  deadline: ApiClient["deadline"] = () => AbortSignal.timeout(deadlineMs),
): ApiClient {
  let making: Promise<ApiClient> | undefined;
  const made = () => {
    making ??= make().catch((error: unknown) => {
      making = undefined;
      throw error;
    });
    return making;
  };
  const madeBy = (limit = deadline()) => inTime(made(), "describe the cluster", limit);
  return {
    deadline,
    get: async (path) => (await madeBy()).get(path),
    find: async (path, limit = deadline()) => (await madeBy(limit)).find(path, limit),
    list: async (path, keep, part) => (await madeBy()).list(path, keep, part),
    create: async (path, body, limit = deadline()) => (await madeBy(limit)).create(path, body, limit),
    apply: async (path, body, limit = deadline()) => (await madeBy(limit)).apply(path, body, limit),
    patch: async (path, body, kind) => (await madeBy()).patch(path, body, kind),
    remove: async (path, options) => (await madeBy()).remove(path, options),
    open: async (path, signal) => (await madeBy()).open(path, signal),
    socket: async (path, protocol) => (await madeBy()).socket(path, protocol),
    close: () =>
      void making?.then(
        (client) => client.close(),
        () => undefined,
      ),
  };
}
