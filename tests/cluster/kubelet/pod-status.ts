import { createHash } from "node:crypto";
import { now, type RunningContainer } from "../container/container.ts";
import type { Pod } from "./pod.ts";

/** Input of a pod's status. */
export interface PodState {
  readonly pod: Pod;
  readonly ip: string;
  readonly startTime: string;
  readonly inits: readonly RunningContainer[];
  readonly mains: readonly RunningContainer[];
  /** Why the kubelet ended the pod by itself. */
  readonly ending: { readonly reason: string; readonly message: string } | undefined;
  /** Present value of each condition, with the time of its last change. */
  readonly conditionTimes: Map<string, { readonly status: string; readonly at: string }>;
}

export type Phase = "Pending" | "Running" | "Succeeded" | "Failed";

function getPhase({ inits, mains, ending }: Pick<PodState, "inits" | "mains" | "ending">): Phase {
  const codes = mains.map(findExitCode);
  const hasEnded = codes.every((code) => code !== undefined) && !inits.some(({ state }) => "running" in state);
  const initFailed = inits.some((init) => !isSidecar(init) && (findExitCode(init) ?? 0) !== 0);
  if (initFailed || (ending && hasEnded)) return "Failed";
  if (hasEnded) return codes.every((code) => code === 0) ? "Succeeded" : "Failed";
  return mains.every(({ state }) => "waiting" in state) ? "Pending" : "Running";
}

export function isSidecar({ spec }: RunningContainer): boolean {
  return spec.restartPolicy === "Always";
}

export function findExitCode({ state }: RunningContainer): number | undefined {
  return "terminated" in state ? state.terminated.exitCode : undefined;
}

/** Returns the whole status for a strategic merge patch. */
export function podStatus(pod: PodState): object {
  const phase = getPhase(pod);
  return {
    phase,
    // A real kubelet reports the reason once no container runs.
    ...(phase === "Failed" ? pod.ending : {}),
    hostIP: "127.0.0.1",
    hostIPs: [{ ip: "127.0.0.1" }],
    podIP: pod.ip,
    podIPs: [{ ip: pod.ip }],
    startTime: pod.startTime,
    observedGeneration: pod.pod.metadata.generation,
    initContainerStatuses: pod.inits.map((init) => containerStatus(pod, init)),
    containerStatuses: pod.mains.map((main) => containerStatus(pod, main)),
    conditions: conditions(pod, phase),
  };
}

function conditions(pod: PodState, phase: Phase): object[] {
  const isOver = phase === "Succeeded" || phase === "Failed";
  const isInitialized = pod.inits.every((init) =>
    isSidecar(init) ? !("waiting" in init.state) : findExitCode(init) === 0,
  );
  const areReady = !isOver && [...pod.inits.filter(isSidecar), ...pod.mains].every(({ isReady }) => isReady);
  const unready = isOver ? "PodCompleted" : "ContainersNotReady";
  return [
    condition(pod, "PodReadyToStartContainers", !isOver),
    condition(pod, "Initialized", isInitialized, "ContainersNotInitialized"),
    condition(pod, "Ready", areReady, unready),
    condition(pod, "ContainersReady", areReady, unready),
  ];
}

function condition({ conditionTimes }: PodState, type: string, isTrue: boolean, otherwise?: string): object {
  const status = isTrue ? "True" : "False";
  const last = conditionTimes.get(type);
  const at = last?.status === status ? last.at : now();
  conditionTimes.set(type, { status, at });
  return { type, status, lastTransitionTime: at, reason: isTrue ? null : (otherwise ?? null) };
}

function containerStatus({ pod }: PodState, container: RunningContainer): object {
  const { spec, state } = container;
  // A pod may be resized while it runs, so its resources are read again.
  const { resources } = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find(
    ({ name }) => name === spec.name,
  ) ?? { resources: undefined };
  const isRunning = "running" in state;
  return {
    name: spec.name,
    image: spec.image,
    imageID: "waiting" in state ? "" : `${spec.image}@sha256:${"0".repeat(64)}`,
    restartCount: 0,
    started: container.hasStarted,
    ready: container.isReady || (!isSidecar(container) && findExitCode(container) === 0 && isInit(pod, spec.name)),
    state,
    ...("waiting" in state ? {} : { containerID: containerId(pod, spec.name) }),
    ...(isRunning ? { resources, allocatedResources: resources?.requests } : {}),
  };
}

/** Returns a container's id like a runtime's: 64 hexadecimal digits. */
export function containerId({ metadata }: Pod, container: string): string {
  return `containerd://${createHash("sha256").update(`${metadata.uid}-${container}`).digest("hex")}`;
}

function isInit(pod: Pod, container: string): boolean {
  return pod.spec.initContainers?.some(({ name }) => name === container) ?? false;
}
