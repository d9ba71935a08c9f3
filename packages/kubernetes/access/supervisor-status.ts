import { askPod } from "../exec/supervised-exec.ts";
import type { Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { askSupervisor, isSupervised } from "./tools.ts";

const answeredWithinMs = 5_000;

/** What a supervisor says of a program that it keeps running. */
export interface ServiceStatus {
  readonly failures: number;
  readonly lastCode: number;
  readonly answers: boolean;
}

export interface SupervisorStatus {
  readonly jupyter: ServiceStatus | undefined;
  /** For so long no GPU of this machine was used; undefined: nobody can tell. */
  readonly gpuIdleMs: number | undefined;
}

const nothing: SupervisorStatus = { jupyter: undefined, gpuIdleMs: undefined };

/** undefined: its supervisor did not answer. */
export type StatusOf = (pod: Pod) => Promise<SupervisorStatus | undefined>;

/** Asks each supervisor once, however many want to know: for one look. */
export function statusReader(place: ClusterContext): StatusOf {
  const statuses = new Map<string, ReturnType<StatusOf>>();
  return (pod) => {
    const status = statuses.get(pod.metadata.uid) ?? readStatus(place, pod);
    statuses.set(pod.metadata.uid, status);
    return status;
  };
}

async function readStatus(place: ClusterContext, pod: Pod): Promise<SupervisorStatus | undefined> {
  const command = { words: askSupervisor("status"), timeoutMs: answeredWithinMs };
  const answer = await askPod(place, pod, command).catch(() => undefined);
  return answer?.exitCode === 0 ? statusIn(answer.stdout.toString()) : undefined;
}

/**
 * Since when no GPU of any of these machines was used, by their supervisors; undefined: one of them cannot tell, which
 * counts as use.
 */
export async function readGpuIdleSince(
  findStatus: StatusOf,
  pods: readonly Pod[],
  { now, machines }: { readonly now: number; readonly machines: number },
): Promise<number | undefined> {
  if (pods.length < machines || !pods.every((pod) => isSupervised(pod) && hasGpus(pod))) return undefined;
  const idle = await Promise.all(pods.map(async (pod) => (await findStatus(pod))?.gpuIdleMs));
  return idle.some((ms) => ms === undefined) ? undefined : now - Math.min(...idle.map(Number));
}

function hasGpus({ spec: { containers = [] } }: Pod): boolean {
  return Number(containers[0]?.resources?.requests?.["nvidia.com/gpu"] ?? 0) > 0;
}

/** Whatever runs in a container can answer in the place of its supervisor: what has another form is not there. */
export function statusIn(text: string): SupervisorStatus {
  try {
    const { services, gpuIdleSeconds } = JSON.parse(text) as Record<string, unknown>;
    const isIdle = typeof gpuIdleSeconds === "number" && Number.isFinite(gpuIdleSeconds) && gpuIdleSeconds >= 0;
    return {
      jupyter: serviceIn((services as Record<string, unknown> | undefined)?.jupyter),
      gpuIdleMs: isIdle ? gpuIdleSeconds * 1000 : undefined,
    };
  } catch {
    return nothing;
  }
}

function serviceIn(service: unknown): ServiceStatus | undefined {
  const { failures, lastCode, answers } = (service ?? {}) as Record<string, unknown>;
  const isWhole = Number.isSafeInteger(failures) && Number.isSafeInteger(lastCode) && typeof answers === "boolean";
  return isWhole ? { failures: Number(failures), lastCode: Number(lastCode), answers } : undefined;
}
