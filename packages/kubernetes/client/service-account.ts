import { readFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import type { ApiAccess } from "./exchange.ts";

/** Folder in which Kubernetes gives a pod the credentials of its service account. */
const mounted = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Returns the API server and credentials of the pod that this process runs in. Throws outside a pod. */
export async function readServiceAccount(
  environment: Readonly<Record<string, string | undefined>>,
  folder = mounted,
): Promise<ApiAccess> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = environment;
  if (!host) throw new Error("This process is in no pod of a cluster: set KUBECONFIG");
  const ca = await readFile(join(folder, "ca.crt"), "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new Error(`The pod has no credentials of its service account in ${folder} (${error.code ?? "error"})`);
  });
  return {
    url: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    ca,
    // The kubelet replaces the file before the token expires.
    token: async () => (await readFile(join(folder, "token"), "utf8")).trim(),
  };
}
