import { writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface ApiserverOptions {
  readonly home: string;
  /** Address that the API server listens on. */
  readonly address: string;
  readonly port: number;
  /** Range of node ports; undefined: 30000-32767. */
  readonly nodePorts: string | undefined;
  /** Address of a TokenReview webhook; undefined: none. */
  readonly tokenReviews: string | undefined;
}

const TOKEN_REVIEWS = "token-reviews.kubeconfig";

export function apiserverFlags({ home, address, port, nodePorts, tokenReviews }: ApiserverOptions): string[] {
  return [
    `--etcd-servers=unix://${join(home, "etcd.sock")}`,
    `--bind-address=${address}`,
    `--advertise-address=${address}`,
    `--secure-port=${port}`,
    // The API server writes its own key pair there. Its certificate is also the authority that clients trust.
    `--cert-dir=${join(home, "certs")}`,
    `--token-auth-file=${join(home, "tokens.csv")}`,
    // As on EKS, whose add-on vpc-cni is privileged.
    "--allow-privileged=true",
    "--authorization-mode=RBAC",
    "--anonymous-auth=false",
    `--service-account-key-file=${join(home, "signing.key")}`,
    `--service-account-signing-key-file=${join(home, "signing.key")}`,
    "--service-account-issuer=https://cluster.test",
    "--service-cluster-ip-range=10.96.0.0/16",
    // Pods get no token and do not wait for a service account.
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

/** Writes the address of the TokenReview webhook as a kubeconfig. */
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
