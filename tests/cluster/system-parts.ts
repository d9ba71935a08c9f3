import type { KubeClient } from "./client.ts";
import { must } from "./objects.ts";

type PartKind = "Deployment" | "DaemonSet";

/** Status of a Deployment of which one pod is ready. */
export const isReady = { replicas: 2, readyReplicas: 2, availableReplicas: 1 };

/** Returns the path of a workload of kube-system, or of all of one kind. */
export function partPath(kind: PartKind, name?: string): string {
  const all = `/apis/apps/v1/namespaces/kube-system/${kind.toLowerCase()}s`;
  return name === undefined ? all : `${all}/${name}`;
}

/** Writes the status of a workload of kube-system, because no controller runs it. */
export async function reportPart(admin: KubeClient, kind: PartKind, name: string, status: object): Promise<void> {
  must(await admin.patch(`${partPath(kind, name)}/status`, { status }));
}

/** Installs a workload of kube-system with such a status. */
export async function installPart(admin: KubeClient, kind: PartKind, name: string, status: object): Promise<void> {
  const labels = { "k8s-app": name };
  const template = { metadata: { labels }, spec: { containers: [{ name, image: `berth.test/${name}` }] } };
  const spec = { selector: { matchLabels: labels }, template };
  must(await admin.post(partPath(kind), { apiVersion: "apps/v1", kind, metadata: { name }, spec }));
  await reportPart(admin, kind, name, status);
}
