import type { Duplex } from "node:stream";
import { RunGone } from "#core/problem.ts";
import { isNotFound } from "../client/api-error.ts";
import type { KubernetesComputeOptions } from "../compute.ts";
import { dialPod } from "../exec/pod-port.ts";
import { openPodSession, type PodSession, type PodSessionRequest } from "../exec/pod-session.ts";
import { nameOfRun, type RunId } from "../names.ts";
import { buildPaths } from "../paths.ts";
import { type ClusterContext, livingPod } from "../runs/read-run.ts";
import { MAIN } from "../runs/run-job.ts";

/** Ways into a run through the API server, for whoever cannot dial its node. Both throw `RunGone` where there is none. */
export interface RunEntry {
  /** Starts a command in the run's first machine. */
  open(id: RunId, request: PodSessionRequest): Promise<PodSession>;
  /** A connection to a port of its first machine. Where nothing listens it ends: nobody is told before. */
  dial(id: RunId, port: number): Promise<Duplex>;
}

/** A run has one pod for good, so who has asked for it once need not ask again. */
const mostKnown = 1_000;

export function runEntry(options: Pick<KubernetesComputeOptions, "client" | "namespace" | "deployment">): RunEntry {
  const { client, deployment } = options;
  const place: ClusterContext = { client, paths: buildPaths(options.namespace), deployment };
  const entries = new Map<string, string>();
  const inPod = async <Value>(id: RunId, use: (pod: string) => Promise<Value>): Promise<Value> => {
    const name = nameOfRun(id);
    const pod = entries.get(name) ?? (await livingPod(place, id)).metadata.name;
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
