import { ApiRefused } from "../client/api-error.ts";
import { annotation, deploymentLabels, formatSshServiceName, label, nameOfRun, type RunId } from "../names.ts";
import type { Job } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";

/** Port of the SSH server in a run that has one. A user other than root may listen on it. */
export const RUN_SSH_PORT = 2222;

/** Value of the SSH annotation while no node port is free. */
const NONE_FREE = "none free";

interface Service {
  readonly spec?: { readonly ports?: readonly { readonly nodePort?: number }[] };
}

/**
 * Opens a node port for SSH and returns its annotation. The Job owns the Service, so a late call leaves nothing behind.
 * A cluster has some 2,700 node ports, so only runs with a key get one.
 */
export async function openSshService(place: ClusterContext, id: RunId, job: Job, port: number): Promise<string> {
  const { client, paths, deployment } = place;
  try {
    const body = buildService(id, job, deployment, port);
    const made = await client.apply<Service>(`${paths.services}/${formatSshServiceName(id)}`, body);
    return String(made.spec?.ports?.[0]?.nodePort ?? NONE_FREE);
  } catch (error) {
    if (!isNoneFree(error)) throw error;
    return NONE_FREE;
  }
}

export async function closeSshService({ client, paths }: ClusterContext, id: RunId): Promise<void> {
  await client.remove(`${paths.services}/${formatSshServiceName(id)}`, { uid: undefined });
}

/** Reports whether the run has a key but found no free port. */
export function wantsSshPort({ metadata }: Job): boolean {
  return metadata.annotations?.[annotation.ssh] === NONE_FREE;
}

export interface SshPort {
  readonly port: number | null;
  /** Message for the user: why SSH does not work although a key is installed. */
  readonly problem?: string;
}

export function getSshPort({ metadata }: Pick<Job, "metadata">): SshPort {
  const said = metadata.annotations?.[annotation.ssh];
  if (said === NONE_FREE) return { port: null, problem: "The cluster has no free port for SSH; Berth tries again" };
  return { port: Number(said) || null };
}

function buildService(
  id: RunId,
  { metadata: { name, uid, annotations } }: Job,
  deployment: string,
  port: number,
): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: formatSshServiceName(id),
      labels: { ...deploymentLabels(deployment), [label.uid]: id.uid, [label.run]: String(id.run) },
      // Identifies the environment if the Job is deleted without its dependents.
      annotations: { [annotation.key]: annotations?.[annotation.key] ?? "" },
      ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name, uid }],
    },
    spec: {
      type: "NodePort",
      // Only the pod's own node serves the port, which is the node that users see. The pod sees the client's address.
      externalTrafficPolicy: "Local",
      // Pods of the other machines have their own Jobs.
      selector: { "batch.kubernetes.io/job-name": nameOfRun(id) },
      ports: [{ name: "ssh", protocol: "TCP", port: 22, targetPort: port }],
    },
  };
}

/** Reports whether no node port is free, which has no code (registry/core/service/storage/alloc.go). */
function isNoneFree(error: unknown): boolean {
  if (!(error instanceof ApiRefused)) return false;
  const isFull = error.status === 500 && error.said.includes("failed to allocate a nodePort");
  return isFull || (error.status === 403 && error.said.includes("exceeded quota"));
}
