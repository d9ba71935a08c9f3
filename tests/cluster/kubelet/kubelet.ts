import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { kubeClient } from "../client.ts";
import { pretendContainer } from "../container/container.ts";
import { containerEnv } from "../container/container-env.ts";
import { containerFiles } from "../container/container-files.ts";
import { annotatedScript, type PodScript, scriptOfContainer } from "../container/script.ts";
import type { ControlPlane } from "../control-plane.ts";
import { provisionGp3 } from "../disks/gp3.ts";
import { createDisks, type PretendDisks, pretendDisks } from "../disks/pretend-disks.ts";
import { provideSnapshots } from "../disks/snapshots.ts";
import { follow } from "../watch.ts";
import { startKubeletServer } from "./kubelet-server.ts";
import { type Container, type Pod, podFolder } from "./pod.ts";
import { eventTeller } from "./pod-events.ts";
import { type PodRun, podRun } from "./pod-run.ts";
import { addPretendNode, type NodeObject, type NodeOptions, type PretendNode } from "./pretend-node.ts";

/**
 * Plays the kubelets of any number of nodes, and the provisioner of gp3, for a real control plane.
 *
 * As on a real node: capacity, labels, taints and leases; init containers in order, sidecars, container states, exit
 * codes, conditions, deletion with a grace period and by uid, deadlines of pods, resized requests, a lost node that
 * reports later; logs, exec (SPDY and WebSocket v4) and port-forward (WebSocket v4); environments from values, fields
 * and Secrets; disks bound in the zone of their first pod.
 *
 * Pretended: a script (script.ts) defines what a container does. Images, pulls, memory limits and probes exist only in
 * the status, except a command as the startup probe of a process. No container is restarted. A command of a script with
 * `process`, or of exec, runs on this machine with its user, files and network. A disk is a directory. Without
 * `mountsDisks` it is not mounted, and variables with its path hold the path of the directory. A pod's address carries
 * no traffic, and there are no services, network policies or attachments of disks.
 */
export interface Kubelet {
  readonly disks: PretendDisks;
  addNode(options: NodeOptions): Promise<PretendNode>;
  /** Ends all containers and heartbeats. The nodes stay as objects. */
  stop(): Promise<void>;
}

export interface KubeletOptions {
  /** Returns the behaviour of a pod's containers. By default, the pod's annotation defines it. */
  scriptOf?(pod: Pod): PodScript;
  /** Directory with the programs of the tools image, at `/tools` in every init container with a process. */
  readonly tools?: string;
  /** Bubblewrap mounts disks at their paths. Otherwise, variables with such a path hold the path of the directory. */
  readonly mountsDisks?: boolean;
  /** The cluster has the snapshot API and its controller. */
  readonly snapshots?: boolean;
}

export async function startKubelet(controlPlane: ControlPlane, options: KubeletOptions = {}): Promise<Kubelet> {
  const client = kubeClient(controlPlane.getAccess("kubelet"));
  const tell = eventTeller(client);
  const ending = new AbortController();
  const nodes = new Map<string, PretendNode>();
  const runs = new Map<string, PodRun>();
  /** Pods of all nodes as the API server has them, including lost nodes. */
  const pods = new Map<string, Pod>();
  const home = join(controlPlane.home, "pods");
  const disks = pretendDisks(join(controlPlane.home, "disks"));
  const isAlive = (node: string | undefined) => nodes.get(node ?? "")?.isAlive ?? false;
  const server = await startKubeletServer(
    controlPlane.serving,
    { home, guard: controlPlane.guard },
    (namespace, name) => {
      const run = [...runs.values()].find(
        ({ pod: { metadata } }) => metadata.namespace === namespace && metadata.name === name,
      );
      return run && !isAlive(run.pod.spec.nodeName) ? "lost" : run;
    },
  );

  const begin = (pod: Pod) => {
    const script = (options.scriptOf ?? annotatedScript)(pod);
    const ip = nextIp();
    const cwd = podFolder(home, pod);
    const make = (isInit: boolean) => (container: Container) => {
      const files = containerFiles(pod, container, { cwd, tools: options.tools });
      return pretendContainer(container, scriptOfContainer(script, container, isInit), {
        cwd,
        files,
        guard: controlPlane.guard,
        async readEnv() {
          await mkdir(cwd, { recursive: true });
          await files.make();
          const env = await containerEnv(client, pod, container, ip);
          const places = await createDisks(client, disks, { pod, container });
          if (options.mountsDisks) files.mount(places);
          return options.mountsDisks ? env : withPlaces(env, places);
        },
        tell: (reason, message) => tell(pod, reason, message),
        changed: () => runs.get(pod.metadata.uid)?.report(),
      });
    };
    const { refusal } = Object.values(script).find((each) => each.refusal !== undefined) ?? {};
    const isRefused = refusal !== undefined;
    const run = podRun(pod, {
      client,
      ip,
      inits: isRefused ? [] : (pod.spec.initContainers ?? []).map(make(true)),
      mains: isRefused ? [] : pod.spec.containers.map(make(false)),
      ...(isRefused && { ending: { reason: "UnexpectedAdmissionError", message: `Pod was rejected: ${refusal}` } }),
      isNodeAlive: () => isAlive(pod.spec.nodeName),
    });
    runs.set(pod.metadata.uid, run);
    run.start();
    return run;
  };
  const poll = (pod: Pod) => {
    if (!isAlive(pod.spec.nodeName)) return;
    const isOver = pod.status.phase === "Succeeded" || pod.status.phase === "Failed";
    const knownRun = runs.get(pod.metadata.uid);
    if (!knownRun && isOver && pod.metadata.deletionTimestamp === undefined) return;
    (knownRun ?? begin(pod)).changed(pod);
  };
  const onPod = (type: "ADDED" | "MODIFIED" | "DELETED", pod: Pod) => {
    const { uid } = pod.metadata;
    if (type !== "DELETED") {
      pods.set(uid, pod);
      return poll(pod);
    }
    pods.delete(uid);
    runs.get(uid)?.gone();
    runs.delete(uid);
  };
  const recovered = (name: string) => {
    for (const pod of pods.values()) {
      if (pod.spec.nodeName !== name) continue;
      runs.get(pod.metadata.uid)?.report();
      poll(pod);
    }
  };

  const following = Promise.all([
    follow<NodeObject>(
      client,
      "/api/v1/nodes",
      (type, node) => {
        if (type !== "DELETED") nodes.get(node.metadata.name)?.seen(node);
      },
      ending.signal,
    ),
    follow<Pod>(client, "/api/v1/pods?fieldSelector=spec.nodeName!=", onPod, ending.signal),
    provisionGp3(client, disks, ending.signal),
    ...(options.snapshots ? [provideSnapshots(client, disks, ending.signal)] : []),
  ]);
  return {
    disks,
    async addNode(node) {
      const added = await addPretendNode(node, {
        client,
        kubeletPort: server.port,
        graceSeconds: controlPlane.nodeGraceSeconds,
        recovered: () => recovered(node.name),
      });
      nodes.set(node.name, added);
      return added;
    },
    async stop() {
      for (const node of nodes.values()) node.stopBeating();
      for (const run of runs.values()) run.gone();
      ending.abort();
      await following;
      await server.close();
      client.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

function withPlaces(env: Record<string, string>, places: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, places.get(value) ?? value]));
}

let input = 0;

function nextIp(): string {
  input += 1;
  return `10.${1 + ((input >> 16) & 127)}.${(input >> 8) & 255}.${input & 255}`;
}
