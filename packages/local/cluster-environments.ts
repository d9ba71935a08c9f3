import { systemClock } from "#aws/clock.ts";
import type { Compute, Observation } from "#core/context.ts";
import { type ApiClient, apiClient } from "#kubernetes/api-client.ts";
import { kubernetesClaims } from "#kubernetes/claims.ts";
import { kubernetesCompute } from "#kubernetes/compute.ts";
import { readKubeconfig } from "#kubernetes/kubeconfig.ts";
import { pathsOf } from "#kubernetes/names.ts";
import { checkCluster } from "./cluster-check.ts";
import { deploymentOn } from "./cluster-home.ts";
import { clusterVolumes } from "./cluster-volumes.ts";
import { clusterWords, type SeenCluster, type StorageClass } from "./cluster-words.ts";
import type { Environments } from "./environments.ts";

export interface ClusterOptions {
  readonly home: string;
  /** A stack ran in this home before. */
  readonly isUsed: boolean;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  /** What a credential plugin of the kubeconfig is started with. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Of deploy/kubernetes. */
const namespace = "berth-environments";

/**
 * Environments as Jobs of the cluster that a kubeconfig names; they outlive the stack. Throws in words, with what to do,
 * where the cluster cannot be used.
 */
export async function clusterEnvironments(options: ClusterOptions): Promise<Environments> {
  const { home, isUsed, kubeconfig, context: wanted, environment } = options;
  if (kubeconfig === undefined) {
    throw new Error("Bad settings:\n  KUBECONFIG must name a file where COMPUTE is kubernetes, as ~/.kube/config");
  }
  const { access, context } = await readKubeconfig({ file: kubeconfig, context: wanted, environment });
  const client = apiClient(access);
  try {
    const server = { client, url: access.url, context, namespace };
    // What gives out tokens may take longer, the first time, than a call may.
    await access.token();
    const id = await checkCluster(server);
    return await environmentsOn(server, deploymentOn(home, { id, server: access.url }, isUsed));
  } catch (error) {
    client.close();
    throw error;
  }
}

interface Server {
  readonly client: ApiClient;
  readonly url: string;
  readonly context: string;
  readonly namespace: string;
}

async function environmentsOn({ client, url, context }: Server, deployment: string): Promise<Environments> {
  const { now } = systemClock();
  // Without a provider to ask nobody knows what became of a machine.
  const machineOf = async () => "unknown" as const;
  const compute = kubernetesCompute({ client, namespace, deployment, now, machineOf });
  const claims = kubernetesClaims({ client, paths: pathsOf(namespace), deployment }, null);
  return {
    compute: withoutAddresses(compute),
    volumes: clusterVolumes(claims, now),
    // As the driver says them of each run.
    isolation: "pod",
    limits: "cgroup-v2 (cpu, memory)",
    cluster: {
      name: `${context} (${url}), namespace ${namespace}`,
      ...clusterWords(await seenCluster(client, compute)),
    },
    // Runs go on while no stack looks, and their records are looked at as everywhere.
    adopt: async () => undefined,
    shutdown: async () => client.close(),
  };
}

/** An address of a pod is one of its cluster: from here it may be that of somebody else. */
function withoutAddresses(compute: Compute): Compute {
  return {
    ...compute,
    async observe(uid, run) {
      const seen = await compute.observe(uid, run);
      return seen && unaddressed(seen);
    },
  };
}

function unaddressed(seen: Observation): Observation {
  return { ...seen, address: null, ports: seen.ports.map((port) => ({ ...port, address: null })) };
}

async function seenCluster(client: ApiClient, compute: Compute): Promise<SeenCluster> {
  const [known, nodes, classes] = await Promise.all([
    compute.listNodes(),
    client.list<object, true>("/api/v1/nodes", () => [true]),
    client.list<StorageClass, StorageClass>("/apis/storage.k8s.io/v1/storageclasses", (one) => [one]),
  ]);
  return { known, nodeCount: nodes.items.length, storageClasses: classes.items };
}
