import { writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface ApiserverOptions {
  readonly home: string;
  /** Address of this machine that it listens on. */
  readonly address: string;
  readonly port: number;
  /** Those that NodePorts are given from; the usual ones where this is undefined. */
  readonly nodePorts: string | undefined;
  /** Undefined: it checks no token by a webhook. */
  readonly tokenReviews: string | undefined;
}

const TOKEN_REVIEWS = "token-reviews.kubeconfig";

export function apiserverFlags({ home, address, port, nodePorts, tokenReviews }: ApiserverOptions): string[] {
  return [
    `--etcd-servers=unix://${join(home, "etcd.sock")}`,
    `--bind-address=${address}`,
    `--advertise-address=${address}`,
    `--secure-port=${port}`,
    // It writes its own pair there; the certificate is at once the authority that clients trust.
    `--cert-dir=${join(home, "certs")}`,
    `--token-auth-file=${join(home, "tokens.csv")}`,
    "--authorization-mode=RBAC",
    "--anonymous-auth=false",
    `--service-account-key-file=${join(home, "signing.key")}`,
    `--service-account-signing-key-file=${join(home, "signing.key")}`,
    "--service-account-issuer=https://cluster.test",
    "--service-cluster-ip-range=10.96.0.0/16",
    // Pods are given no token, and wait for no account.
    "--disable-admission-plugins=ServiceAccount",
    "--endpoint-reconciler-type=none",
    `--kubelet-client-certificate=${join(home, "kubelet-client.crt")}`,
    `--kubelet-client-key=${join(home, "kubelet-client.key")}`,
    "--kubelet-preferred-address-types=InternalIP",
    "--enable-priority-and-fairness=false",
    "--profiling=false",
    ...(tokenReviews === undefined
      ? []
      : [
          `--authentication-token-webhook-config-file=${join(home, TOKEN_REVIEWS)}`,
          "--authentication-token-webhook-version=v1",
        ]),
    ...(nodePorts === undefined ? [] : [`--service-node-port-range=${nodePorts}`]),
  ];
}

/** Whom the API server asks, in the form of a kubeconfig. */
export async function writeTokenReviews(home: string, server: string): Promise<void> {
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "reviews",
    contexts: [{ name: "reviews", context: { cluster: "reviews", user: "apiserver" } }],
    clusters: [{ name: "reviews", cluster: { server } }],
    users: [{ name: "apiserver", user: {} }],
  };
  await writeFile(join(home, TOKEN_REVIEWS), JSON.stringify(config), { mode: 0o600 });
}
