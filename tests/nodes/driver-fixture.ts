import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Compute, Observation, Run } from "#core/ports/compute.ts";
import type { ExecStatus } from "#core/ports/exec.ts";
import type { RunLog } from "#core/ports/run-log.ts";
import { apiClient } from "#kubernetes/client/api-client.ts";
import { ApiUnreachable } from "#kubernetes/client/api-error.ts";
import { type KubernetesComputeOptions, kubernetesCompute } from "#kubernetes/compute.ts";
import { applyManifests, readManifests } from "../cluster/manifests.ts";
import { logText } from "../fixtures/log-text.ts";
import { debianImage } from "./images.ts";
import { type RealCluster, startRealCluster } from "./real-cluster.ts";
import type { RealNode, RealNodeOptions } from "./real-node.ts";

/** The Kubernetes driver on two real nodes, with only the rights of deploy/kubernetes. */
export interface DriverFixture {
  readonly cluster: RealCluster;
  readonly compute: Compute;
  readonly computeOptions: KubernetesComputeOptions;
  /** Applies a run of Debian's image with one GPU of the first node. */
  applied(changes: Partial<Run>, options?: Pick<DriverOptions, "toolsImage">): Promise<Run>;
  /** Observes the run until this holds. Throws if the run ends before. */
  until(run: Run, holds: (seen: Observation | undefined) => boolean): Promise<Observation | undefined>;
  /** Returns once the run is ready and has printed something. Its node may serve the log before it reports the start. */
  begun(run: Run): Promise<void>;
  /** Reads the log of the run until this holds. */
  logUntil(run: Run, holds: (text: string) => boolean): Promise<string>;
  /** Returns the node with this name. */
  getNode(name: string): RealNode;
  /** Runs a command in the run to its end. */
  exec(run: Run, words: readonly string[]): Promise<ExecStatus>;
  /** Removes every run, and returns when nothing is left. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

export interface DriverOptions {
  /** Two nodes of 8 GPUs unless given. */
  readonly nodes?: readonly RealNodeOptions[];
  /** How long a node may be silent. */
  readonly nodeGraceSeconds?: number;
  /** The cloud provider's answers. By default every machine runs. */
  readonly getMachineState?: Compute["getMachineState"];
  /** Archives of further images that the nodes have. */
  readonly archives?: readonly string[];
  readonly toolsImage?: string | undefined;
  readonly sshPort?: number;
  readonly runsDeployments?: true;
  /** Name of the deployment that its runs belong to. */
  readonly deployment?: string;
}

/**
 * Part of a command, after its last output. On a busy machine, containerd 1.6 closes the output of a container that it
 * stops before it has read all of it ("Failed to pipe stdout of container").
 */
export const untilRead = "sleep 0.5";

/** The nodes compute on this machine too, so they are not asked more often. */
const POLL_MS = 200;

const twoNodes = ["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" }));

export async function openDriverFixture(options: DriverOptions = {}): Promise<DriverFixture> {
  const { nodes = twoNodes, nodeGraceSeconds, getMachineState = async () => "running" } = options;
  const { archives, toolsImage, sshPort, runsDeployments, deployment = "nodes" } = options;
  const cluster = await startRealCluster(nodes, { nodeGraceSeconds, archives, runsDeployments });
  try {
    const manifests = await readManifests(fileURLToPath(new URL("../../deploy/kubernetes", import.meta.url)));
    await applyManifests(cluster.admin, manifests);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  const { url, ca, token } = cluster.controlPlane.getAccess("berth");
  const client = apiClient({ url, ca, token: async () => token, deadlineMs: 60_000 });
  const namespace = "berth-environments";
  const place = { client, namespace, deployment };
  const computeOptions = { ...place, now: Date.now, getMachineState, toolsImage, sshPort };
  const compute = kubernetesCompute(computeOptions);
  const until: DriverFixture["until"] = async ({ uid }, holds) => {
    for (;;) {
      const seen = await compute.observe(uid, 1);
      if (holds(seen)) return seen;
      if (seen?.state === "ended") throw new Error(`The run has ended: ${JSON.stringify(seen)}`);
      await sleep(POLL_MS);
    }
  };
  const logUntil: DriverFixture["logUntil"] = async ({ uid }, holds) => {
    for (;;) {
      const text = await logText(readLogPatiently(compute, uid, 1));
      if (holds(text)) return text;
      await sleep(POLL_MS);
    }
  };
  return {
    cluster,
    compute,
    computeOptions,
    async applied(changes, other) {
      const run = debianRun(changes);
      await (other ? kubernetesCompute({ ...computeOptions, ...other }) : compute).apply(run);
      return run;
    },
    until,
    async begun(run) {
      await until(run, (seen) => seen?.state === "ready");
      await logUntil(run, (text) => text !== "");
    },
    logUntil,
    getNode(name) {
      const node = cluster.nodes.find((node) => node.name === name);
      if (!node) throw new Error(`There is no node ${name}`);
      return node;
    },
    async exec({ uid }, words) {
      const id = randomBytes(8).toString("hex");
      await compute.startExec(uid, 1, { id, words, stdin: "", env: {}, directory: undefined, timeoutMs: 120_000 });
      for (;;) {
        // As the core does: a command that uses up the processes of its run leaves none for a read.
        const status = await compute.readExec(uid, 1, id, 1_000).catch(() => sleep(100));
        if (status?.state === "ended") return status;
      }
    },
    clear: () => clearRuns(compute),
    async stop() {
      client.close();
      await cluster.stop();
    },
  };
}

/** Removes every run of this deployment, and returns when nothing is left. */
export async function clearRuns(compute: Compute): Promise<void> {
  for (;;) {
    const runs = await compute.listRuns();
    if (runs.length === 0) return;
    await Promise.all(runs.map(({ uid, run }) => compute.remove(uid, run, { graceSeconds: 0, force: false })));
    await sleep(POLL_MS);
  }
}

/** Reads a log. The driver gives up after 3 seconds, and its callers ask again. */
export async function readLogPatiently(compute: Compute, ...args: LogArguments): Promise<RunLog> {
  for (;;) {
    try {
      return await compute.readLog(...args);
    } catch (error) {
      if (!(error instanceof ApiUnreachable)) throw error;
    }
  }
}

type LogArguments = Parameters<Compute["readLog"]>;

function debianRun(changes: Partial<Run>): Run {
  return {
    uid: randomBytes(16).toString("hex"),
    run: 1,
    key: "owner#o#env#gpu-dev|j",
    name: "training",
    pool: "h100",
    instanceType: "p5.48xlarge",
    image: debianImage,
    command: undefined,
    env: {},
    shares: [{ node: "one", units: 1 }],
    gpusPerMachine: 1,
    mounts: [],
    ports: [],
    resources: null,
    until: Date.now() + 3_600_000,
    ...changes,
  };
}
