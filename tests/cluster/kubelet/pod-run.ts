import type { KubeClient } from "../client.ts";
import { now, type RunningContainer } from "../container/container.ts";
import type { Pod } from "./pod.ts";
import { findExitCode, isSidecar, type PodState } from "./pod-status.ts";
import { removePod, statusWriter } from "./status-writer.ts";

/** Life of one pod on a pretend node. */
export interface PodRun {
  readonly pod: Pod;
  readonly containers: readonly RunningContainer[];
  /** Starts the init containers one by one, then the others. */
  start(): void;
  /** Takes the changed pod from the API server: resized, or to be stopped. */
  changed(pod: Pod): void;
  /** Called when the pod is gone from the API server. Nothing more is written. */
  gone(): void;
  /** Writes its status, including changes from while its node was lost. */
  report(): void;
}

export interface PodRunOptions {
  readonly client: KubeClient;
  readonly ip: string;
  readonly inits: readonly RunningContainer[];
  readonly mains: readonly RunningContainer[];
  /** Set if its kubelet refuses the pod, which has no container then. */
  readonly ending?: PodState["ending"];
  /** Reports whether its node reaches the API server. */
  isNodeAlive(): boolean;
}

export function podRun(first: Pod, { client, ip, inits, mains, ending, isNodeAlive }: PodRunOptions): PodRun {
  const state: { -readonly [Key in keyof PodState]: PodState[Key] } = {
    pod: first,
    ip,
    startTime: now(),
    inits,
    mains,
    ending,
    conditionTimes: new Map(),
  };
  const containers = [...inits, ...mains];
  let isGone = false;
  let isStopping = false;
  /** A repeated deletion may shorten the grace period, and never extend it. */
  let graceMs = 0;
  let deadline: NodeJS.Timeout | undefined;
  const mayWrite = () => !isGone && isNodeAlive();
  const writer = statusWriter(client, state, mayWrite);

  const stopContainers = async (withinMs: number) => {
    for (const main of mains) main.stop(withinMs);
    await Promise.all(mains.map(({ ended }) => ended));
    for (const init of inits) init.stop(withinMs);
    await Promise.all(inits.map(({ ended }) => ended));
    writer.report();
  };
  const stop = async () => {
    isStopping = true;
    await stopContainers(graceMs);
    await writer.written();
    // A lost node tries again when it is back.
    isStopping = await removePod(client, state.pod, mayWrite);
  };
  const passDeadline = () => {
    if (isStopping || state.ending) return;
    const message = "Pod was active on the node longer than the specified deadline";
    state.ending = { reason: "DeadlineExceeded", message };
    void stopContainers((state.pod.spec.terminationGracePeriodSeconds ?? 30) * 1000);
  };
  /** A deadline may be set or brought forward while the pod runs. */
  const watchDeadline = () => {
    clearTimeout(deadline);
    const seconds = state.pod.spec.activeDeadlineSeconds;
    const isOver = mains.every((main) => findExitCode(main) !== undefined);
    if (seconds === undefined || isOver) return;
    deadline = setTimeout(passDeadline, Math.max(0, Date.parse(state.startTime) + seconds * 1000 - Date.now()));
  };

  return {
    get pod() {
      return state.pod;
    },
    containers,
    start() {
      if (ending) return writer.report();
      watchDeadline();
      void runContainers(inits, mains).then(() => clearTimeout(deadline));
    },
    changed(pod) {
      const isResized = JSON.stringify(pod.spec.containers) !== JSON.stringify(state.pod.spec.containers);
      state.pod = pod;
      watchDeadline();
      if (pod.metadata.deletionTimestamp === undefined) return isResized ? writer.report() : undefined;
      const givenMs = (pod.metadata.deletionGracePeriodSeconds ?? 0) * 1000;
      if (isStopping && givenMs < graceMs) for (const main of mains) main.stop(givenMs);
      graceMs = givenMs;
      if (!isStopping) void stop();
    },
    gone() {
      isGone = true;
      clearTimeout(deadline);
      for (const container of containers) container.end(137);
    },
    report: () => writer.report(),
  };
}

/** Returns when all have ended. If an init container fails, no later one starts. */
async function runContainers(inits: readonly RunningContainer[], mains: readonly RunningContainer[]): Promise<void> {
  const sidecars = inits.filter(isSidecar);
  for (const init of inits) {
    await init.start();
    if (isSidecar(init)) continue;
    await init.ended;
    if (findExitCode(init) === 0) continue;
    for (const sidecar of sidecars) if ("running" in sidecar.state) sidecar.end(0);
    return;
  }
  await Promise.all(mains.map((main) => main.start()));
  await Promise.all(mains.map(({ ended }) => ended));
  for (const sidecar of sidecars) sidecar.end(0);
}
