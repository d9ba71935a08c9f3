import { setTimeout as sleep } from "node:timers/promises";
import { binaryPath } from "./binary.ts";
import { type KubeClient, type KubeObject, kubeClient } from "./client.ts";
import { type ClusterUser, type ControlPlane, type ControlPlaneOptions, startControlPlane } from "./control-plane.ts";
import { installSnapshotApi } from "./disks/snapshot-api.ts";
import { type Kubelet, type KubeletOptions, startKubelet } from "./kubelet/kubelet.ts";
import type { NodeOptions, PretendNode } from "./kubelet/pretend-node.ts";
import { follow } from "./watch.ts";

/** Control plane with pretend nodes, for the tests of one file. */
export interface Cluster {
  readonly controlPlane: ControlPlane;
  readonly kubelet: Kubelet;
  readonly admin: KubeClient;
  openClient(user: ClusterUser): KubeClient;
  /** Returns the nodes in the order of the options. */
  addNodes(nodes: readonly NodeOptions[]): Promise<PretendNode[]>;
  stop(): Promise<void>;
}

/** Starts the binary that `npm run test:cluster` built. Throws if it is missing. */
export async function startCluster(options: ControlPlaneOptions & KubeletOptions = {}): Promise<Cluster> {
  const controlPlane = await startControlPlane(await binaryPath(process.env), options);
  const clients: KubeClient[] = [];
  const clientOf = (user: ClusterUser) => {
    const client = kubeClient(controlPlane.getAccess(user));
    clients.push(client);
    return client;
  };
  const admin = clientOf("admin");
  if (options.snapshots) await installSnapshotApi(admin);
  const kubelet = await startKubelet(controlPlane, options);
  return {
    controlPlane,
    kubelet,
    admin,
    openClient: clientOf,
    addNodes: (nodes) => Promise.all(nodes.map((node) => kubelet.addNode(node))),
    async stop() {
      for (const client of clients) client.close();
      await kubelet.stop();
      await controlPlane.stop();
    },
  };
}

/** Returns the first object of a list for which `test` holds, now or after a later event. */
export async function seen<Item extends KubeObject>(
  client: KubeClient,
  path: string,
  test: (item: Item) => boolean,
): Promise<Item> {
  const found = Promise.withResolvers<Item>();
  const ending = new AbortController();
  const poll = (type: string, item: Item) => {
    if (type === "DELETED" || !test(item)) return;
    found.resolve(item);
    ending.abort();
  };
  await follow<Item>(client, path, poll, ending.signal);
  return found.promise;
}

/** Returns when a request for the object answers 404. */
export async function removed(client: KubeClient, path: string): Promise<void> {
  while ((await client.get(path)).status !== 404) await sleep(50);
}
