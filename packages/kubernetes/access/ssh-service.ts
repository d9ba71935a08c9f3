import { ApiRefused } from "../client/api-error.ts";
import { annotation, deploymentLabels, formatSshServiceName, label, nameOfRun, type RunId } from "../names.ts";
import type { Job } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";

/** What the annotation says of a run that nobody can enter, in place of the number of a port. */
const NONE_FREE = "none free";

interface Service {
  readonly spec?: { readonly ports?: readonly { readonly nodePort?: number }[] };
}

/**
 * Opens a port of every node that leads to the SSH server of a run, and says which, as the annotation has it. Its Job owns
 * it: whoever comes late makes nothing that stays. Nodes have some 2,700 of them together, so who has no key has no port.
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

/** Nobody would get in any more. */
export async function closeSshService({ client, paths }: ClusterContext, id: RunId): Promise<void> {
  await client.remove(`${paths.services}/${formatSshServiceName(id)}`, { uid: undefined });
}

/** Whether a key would get in and no port was free: one may be by now. */
export function wantsSshPort({ metadata }: Job): boolean {
  return metadata.annotations?.[annotation.ssh] === NONE_FREE;
}

export interface SshPort {
  readonly port: number | null;
  /** In words for the user: why nobody gets in though a key would. */
  readonly problem?: string;
}

export function getSshPort({ metadata }: Pick<Job, "metadata">): SshPort {
  const said = metadata.annotations?.[annotation.ssh];
  if (said === NONE_FREE) return { port: null, problem: "No port for SSH is free on the cluster; it is tried again" };
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
      // Whose it is where somebody deletes its Job without what that owns.
      annotations: { [annotation.key]: annotations?.[annotation.key] ?? "" },
      ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name, uid }],
    },
    spec: {
      type: "NodePort",
      // Of its own node alone, which is the one that people are told: no other one passes it on, or hides who comes.
      externalTrafficPolicy: "Local",
      // The pods of its other machines have Jobs of their own.
      selector: { "batch.kubernetes.io/job-name": nameOfRun(id) },
      ports: [{ name: "ssh", protocol: "TCP", port: 22, targetPort: port }],
    },
  };
}

/** The API server has no code for it (registry/core/service/storage/alloc.go), and a quota may be used up before. */
function isNoneFree(error: unknown): boolean {
  if (!(error instanceof ApiRefused)) return false;
  const isFull = error.status === 500 && error.said.includes("failed to allocate a nodePort");
  return isFull || (error.status === 403 && error.said.includes("exceeded quota"));
}
