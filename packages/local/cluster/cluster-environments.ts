import type { Duplex } from "node:stream";
import { systemClock } from "#aws/clock.ts";
import type { Blobs } from "#core/ports/blobs.ts";
import type { Compute } from "#core/ports/compute.ts";
import type { Log } from "#core/ports/log.ts";
import { RunGone } from "#core/problem.ts";
import type { GatewayPorts } from "#gateway/ports/reach.ts";
import type { SshServer } from "#gateway/ssh/ssh.ts";
import { type RunEntry, runEntry } from "#kubernetes/access/run-entry.ts";
import { type ApiClient, apiClient } from "#kubernetes/client/api-client.ts";
import type { ApiAccess } from "#kubernetes/client/exchange.ts";
import { readKubeconfig } from "#kubernetes/client/kubeconfig.ts";
import { kubernetesCompute } from "#kubernetes/compute.ts";
import { streamedLogs } from "#kubernetes/exec/streamed-logs.ts";
import type { NodeTypeRule } from "#kubernetes/nodes/node-type.ts";
import type { Toleration } from "#kubernetes/nodes/tolerations.ts";
import { buildPaths } from "#kubernetes/paths.ts";
import type { PodSettings } from "#kubernetes/runs/pod-settings.ts";
import { podLimits } from "#kubernetes/status/observation.ts";
import { findSnapshotClass } from "#kubernetes/volumes/volume-classes.ts";
import { kubernetesVolumes } from "#kubernetes/volumes.ts";
import type { Environments } from "../environments.ts";
import { checkCluster, describeError } from "./cluster-check.ts";
import { reopen, withAccess } from "./cluster-compute.ts";
import { describeCluster, findDefaultClass, type SeenCluster, type StorageClass } from "./cluster-description.ts";
import { type ClusterEntries, clusterEntries } from "./cluster-entries.ts";
import type { Exposure } from "./cluster-exposure.ts";
import { clusterPorts } from "./cluster-gateway.ts";
import { deploymentOn } from "./cluster-home.ts";
import { type ClusterLease, takeLease } from "./cluster-lease.ts";
import { describeNetwork } from "./cluster-network.ts";
import { localPorts } from "./cluster-ports.ts";

export interface ClusterOptions {
  readonly home: string;
  readonly isUsed: boolean;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  /** Tools image to inject. If undefined, runs use only what their image has. */
  readonly toolsImage: string | undefined;
  readonly exposure: Exposure;
  readonly blobs: Blobs;
  readonly watchesGpus: boolean;
  /** Environment of the kubeconfig's credential plugin. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly nodeTypes: readonly NodeTypeRule[];
  readonly tolerations: readonly Toleration[];
  readonly pods: PodSettings;
  readonly log: Log;
  readonly signal: AbortSignal;
  startSsh(ports: GatewayPorts): Promise<SshServer>;
  whenStopped(release: () => Promise<void>): void;
}

const namespace = "berth-environments";

/**
 * Runs environments as Jobs of the cluster in a kubeconfig. They outlive the stack. Throws an error with advice if
 * the cluster cannot be used.
 */
export async function clusterEnvironments(options: ClusterOptions): Promise<Environments> {
  const { home, isUsed, kubeconfig, context: wanted, environment, log, signal, whenStopped } = options;
  if (kubeconfig === undefined) {
    throw new Error(
      "Bad settings:\n  KUBECONFIG must name a file if COMPUTE is kubernetes, for example ~/.kube/config",
    );
  }
  const { access, context } = await readKubeconfig({ file: kubeconfig, context: wanted, environment });
  const unheld = apiClient(access);
  const server = { url: access.url, context, namespace };
  try {
    // The first token may take a credential plugin longer than the timeout of an API call.
    await access.token();
    const id = await checkCluster({ client: unheld, ...server });
    const deployment = deploymentOn(home, { id, server: access.url }, isUsed);
    const lease = await takeLease({ client: unheld, namespace, deployment, home, clock: systemClock(), log, signal });
    whenStopped(() => lease.release().finally(unheld.close));
    const held = heldAccess(access, lease);
    const [client, logClient] = [apiClient(held), apiClient(held)];
    const close = () => [client, logClient].map((client) => client.close());
    return await environmentsOn({ client, logClient, close, ...server }, deployment, options).catch(
      (error: unknown) => {
        close();
        throw error;
      },
    );
  } catch (error) {
    unheld.close();
    throw describeError(error, server);
  }
}

/** Confirms the lease before each call: without it there is no token, so nothing reaches the cluster. */
function heldAccess(access: ApiAccess, lease: ClusterLease): ApiAccess {
  return {
    ...access,
    async token(refused) {
      await lease.confirm();
      return access.token(refused);
    },
  };
}

interface Server {
  readonly client: ApiClient;
  /** Separate client, because each followed log holds a connection. */
  readonly logClient: ApiClient;
  close(): void;
  readonly url: string;
  readonly context: string;
  readonly namespace: string;
}

async function environmentsOn(
  { client, logClient, close, url, context }: Server,
  deployment: string,
  { home, nodeTypes, tolerations, pods, log, startSsh, toolsImage, blobs, watchesGpus, exposure }: ClusterOptions,
): Promise<Environments> {
  const { now } = systemClock();
  // No cloud provider is available to ask about a machine.
  const getMachineState = async () => "unknown" as const;
  const place = { client, paths: buildPaths(namespace), deployment };
  const liveLogs = streamedLogs(place, { client: logClient });
  const compute = kubernetesCompute({
    client,
    namespace,
    deployment,
    now,
    getMachineState,
    nodeTypes,
    tolerations,
    pods,
    log,
    toolsImage,
    blobs,
    watchesGpus,
    streamedLogs: liveLogs,
    ...exposure,
  });
  const runs = runEntry({ client, namespace, deployment });
  const entries = clusterEntries(home);
  const ports = localPorts((run, port) => dial(entries, runs, run, port));
  const gateway = clusterPorts(entries, runs);
  const ssh = exposure.sshPort === undefined ? await startSsh(gateway) : undefined;
  const access = { entries, ports, ssh };
  const stop = async () => {
    const sessions = entries.all().flatMap((entry) => [...entry.sessions]);
    await Promise.all(sessions.map((session) => session.close()));
    ports.stop();
    close();
  };
  return {
    compute: withAccess(compute, access),
    volumes: kubernetesVolumes(place, { storageClass: null, now, blobs }),
    liveLogs,
    reach: gateway.reach,
    getUse: gateway.getUse,
    isolation: "pod",
    limits: podLimits,
    sharedNetwork: undefined,
    sshPort: ssh?.port,
    cluster: {
      name: `${context} (${url}), namespace ${namespace}`,
      ...describeCluster(await seenCluster(client, compute, toolsImage)),
    },
    adopt: () => reopen(access, compute),
    shutdown: stop,
    leave: stop,
  };
}

async function dial(entries: ClusterEntries, runs: RunEntry, name: string, port: number): Promise<Duplex> {
  const entry = entries.find(name);
  if (!entry) throw new RunGone();
  return runs.dial(entry.id, port);
}

async function seenCluster(client: ApiClient, compute: Compute, toolsImage: string | undefined): Promise<SeenCluster> {
  const [knownNodes, nodes, classes, network] = await Promise.all([
    compute.listNodes(),
    client.list<object, true>("/api/v1/nodes", () => [true]),
    client.list<StorageClass, StorageClass>("/apis/storage.k8s.io/v1/storageclasses", (storageClass) => [storageClass]),
    describeNetwork(client, namespace),
  ]);
  const used = findDefaultClass(classes.items);
  return {
    known: knownNodes,
    nodeCount: nodes.items.length,
    storageClass: used,
    toolsImage,
    network,
    snapshotClass: used && (await findSnapshotClass(client, used.provisioner)),
  };
}
