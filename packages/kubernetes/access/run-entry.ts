import type { Duplex } from "node:stream";
import { RunGone } from "#core/problem.ts";
import { isNotFound } from "../client/api-error.ts";
import type { KubernetesComputeOptions } from "../compute.ts";
import { dialPod } from "../exec/pod-port.ts";
import { openPodSession, type PodSession, type PodSessionRequest } from "../exec/pod-session.ts";
import { nameOfRun, type RunId } from "../names.ts";
import { buildPaths } from "../paths.ts";
import { type ClusterContext, getLivingPod } from "../runs/read-run.ts";
import { MAIN } from "../runs/run-job.ts";

/** Access to the pod of a run. Throws `RunGone` if the run has no pod. */
export interface RunEntry {
  open(id: RunId, request: PodSessionRequest): Promise<PodSession>;
  /**
   * Connects to a port of the run's first machine. If nothing listens there, a tunnel rejects, and the stream of the API
   * server ends without an error.
   */
  dial(id: RunId, port: number): Promise<Duplex>;
}

/** Limit of cached pod names. A run never changes its pod. */
const mostKnown = 1_000;

/** Enters pods through the API server instead of their nodes. */
export function runEntry(options: Pick<KubernetesComputeOptions, "client" | "namespace" | "deployment">): RunEntry {
  const { client, deployment } = options;
  const place: ClusterContext = { client, paths: buildPaths(options.namespace), deployment };
  const entries = new Map<string, string>();
  const inPod = async <Value>(id: RunId, use: (pod: string) => Promise<Value>): Promise<Value> => {
    const name = nameOfRun(id);
    const pod = entries.get(name) ?? (await getLivingPod(place, id)).metadata.name;
    if (entries.size >= mostKnown) entries.clear();
    entries.set(name, pod);
    try {
      return await use(`${place.paths.pods}/${pod}`);
    } catch (error) {
      entries.delete(name);
      throw isNotFound(error) ? new RunGone() : error;
    }
  };
  return {
    open: (id, request) => inPod(id, (pod) => openPodSession(client, { pod, container: MAIN }, request)),
    dial: (id, port) => inPod(id, (pod) => dialPod(client, pod, port)),
  };
}
