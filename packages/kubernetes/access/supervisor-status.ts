import { askPod } from "../exec/supervised-exec.ts";
import type { Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { askSupervisor, isSupervised } from "./tools.ts";

const answeredWithinMs = 5_000;

export interface ServiceStatus {
  readonly failures: number;
  readonly lastCode: number;
  readonly answers: boolean;
}

export interface SupervisorStatus {
  readonly jupyter: ServiceStatus | undefined;
  /** undefined if unknown. */
  readonly gpuIdleMs: number | undefined;
}

const nothing: SupervisorStatus = { jupyter: undefined, gpuIdleMs: undefined };

/** Returns undefined if the supervisor does not answer. */
export type ReadStatus = (pod: Pod) => Promise<SupervisorStatus | undefined>;

/** Returns a reader that asks each supervisor at most once. Create one for each reconcile. */
export function statusReader(place: ClusterContext): ReadStatus {
  const statuses = new Map<string, ReturnType<ReadStatus>>();
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

/** Returns when a GPU was last used. Returns undefined if a supervisor cannot tell, which counts as use. */
export async function readGpuIdleSince(
  findStatus: ReadStatus,
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

/** Parses the answer of a supervisor. Any process in the container can forge it, so malformed parts count as absent. */
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
