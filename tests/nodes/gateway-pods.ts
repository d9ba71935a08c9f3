import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { dynamoClient, dynamoTable } from "#aws/dynamodb/table.ts";
import { createEnvironment, type NewEnvironment } from "#core/environments/verbs/create.ts";
import type { Run } from "#core/ports/compute.ts";
import { newKey } from "#gateway/ingress/ingress-fixture.ts";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { buildGatewayImage, gatewayImage } from "../../scripts/images/gateway-image.ts";
import { buildToolsImage, toolsImage } from "../../scripts/images/tools-image.ts";
import { ensureTable, startDynamoDb } from "../aws/dynamodb.ts";
import { patient } from "../aws/patient.ts";
import type { KubeObject } from "../cluster/client.ts";
import { seen } from "../cluster/cluster.ts";
import { followGatewayLog, type GatewayLog } from "../cluster/gateway-log.ts";
import { applyManifests, readManifests } from "../cluster/manifests.ts";
import { getPods, must } from "../cluster/objects.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "../worlds/memory-world.ts";
import { type DriverFixture, openDriverFixture } from "./driver-fixture.ts";
import { gatewayOverlay, system, tableName } from "./gateway-overlay.ts";
import type { RealNode } from "./real-node.ts";
import { createSshClient, type SshClient } from "./ssh-client.ts";

export const gatewayPods = getPods(system);

export interface GatewayPod extends KubeObject {
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly containerID?: string; readonly restartCount: number }[];
  };
}

/** The objects of deploy/kubernetes/gateway on two real nodes, with a table and a user of OpenSSH outside. */
export interface GatewayCluster {
  /** The core over the table. Its worker runs nothing, but counts work in the pods. */
  readonly world: MemoryWorld;
  readonly fixture: DriverFixture;
  readonly client: SshClient;
  /** Key of alice, who owns all jobs. */
  readonly key: string;
  /** Starts a job with this name, whose page is at the port and has the name as its label: its record, and its pod. */
  startJob(name: string, port: number, changes?: Partial<Run>, more?: Partial<NewEnvironment>): Promise<Run>;
  /** Returns the gateway's pods that are ready, in the order of their nodes. */
  listReady(): Promise<GatewayPod[]>;
  /** Returns the address and port of a node that lead to a port of its gateway. */
  getPlace(pod: GatewayPod, port: "ssh" | "https"): { readonly host: string; readonly port: number };
  /** Words of ssh for a job by this gateway, up to the command. */
  sshWords(pod: GatewayPod, job: string): string[];
  followLog(pod: GatewayPod): Promise<GatewayLog>;
  getNode(pod: GatewayPod): RealNode;
  stop(): Promise<void>;
}

export const isReady = ({ metadata, status }: GatewayPod): boolean =>
  metadata.deletionTimestamp === undefined &&
  status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;

export async function openGatewayCluster(): Promise<GatewayCluster> {
  const [tools, gateway] = [await buildToolsImage(process.env), await buildGatewayImage(process.env)];
  const nodes = ["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" }));
  const archives = [tools.archive, gateway.archive];
  const fixture = await openDriverFixture({
    nodes,
    archives,
    toolsImage,
    deployment: tableName,
    runsDeployments: true,
  });
  const cleanups: (() => unknown)[] = [() => fixture.stop()];
  const stop = async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  };
  try {
    const { world, endpoint } = await openTable(fixture, cleanups);
    const client = await createSshClient();
    cleanups.push(client.remove);
    const ports = await startGateways(fixture, endpoint, client.file("known-hosts"));
    return { ...entered({ fixture, client, ports, world }), key: await newKey(world, "alice"), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Serves DynamoDB at the machine's address in the network of the nodes, and opens the core over it. */
async function openTable({ cluster }: DriverFixture, cleanups: (() => unknown)[]) {
  const { endpoint, stop } = await startDynamoDb(new URL(cluster.admin.access.url).hostname);
  cleanups.push(stop);
  const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
  const client = dynamoClient({ endpoint, region: "us-east-1", credentials }, patient);
  cleanups.push(() => client.destroy());
  await ensureTable(client, tableName);
  const table = dynamoTable({ client, tableName });
  const access = { sshGateway: { host: "ssh.berth.dev", port: 22 }, userAccess: "gateway" as const };
  const settings = { ...access, domain: "preview.test", scheme: "http" as const };
  return { endpoint, world: await memoryWorld({ nodes: newNodes({ h100: 8 }), settings, table, startAt: Date.now() }) };
}

type NodePorts = Readonly<Record<"ssh" | "https", number>>;

/** Applies the manifests, and returns the ports of the nodes once both pods are ready. */
async function startGateways(fixture: DriverFixture, endpoint: string, knownHosts: string): Promise<NodePorts> {
  const { admin } = fixture.cluster;
  const hostKey = newSshKey();
  await writeFile(knownHosts, `gateway ${hostKey.public}\n`);
  const folder = fileURLToPath(new URL("../../deploy/kubernetes/gateway", import.meta.url));
  const manifests = await readManifests(folder);
  // Its pods begin after the patches below.
  const overlaid = (yaml: string) =>
    yaml.replace("replicas: 2", "replicas: 0").replace("image: berth-gateway", `image: ${gatewayImage}`);
  await applyManifests(
    admin,
    manifests.map((manifest) => ({ ...manifest, yaml: overlaid(manifest.yaml) })),
  );
  const api = must(await admin.get<Service>("/api/v1/namespaces/default/services/kubernetes")).spec.clusterIP;
  const overlay = gatewayOverlay({ hostKey: hostKey.private, authority: admin.access.ca, table: `http://${api}:8000` });
  for (const { path, body } of overlay.created) must(await admin.post(path, body));
  for (const { path, body } of overlay.patches) must(await admin.patch(path, body, "strategic-merge"));
  const leads = [`${api}:443=${new URL(admin.access.url).host}`, `${api}:8000=${new URL(endpoint).host}`];
  await Promise.all(fixture.cluster.nodes.map((node) => serveServices(node, api, leads, fixture)));
  await seen<Deployment>(admin, `/apis/apps/v1/namespaces/${system}/deployments`, ({ status }) => {
    return status.readyReplicas === 2;
  });
  const { spec } = must(await admin.get<Service>(`/api/v1/namespaces/${system}/services/berth-gateway`));
  return Object.fromEntries(spec.ports.map(({ name, nodePort }) => [name, nodePort])) as NodePorts;
}

interface Service {
  readonly spec: {
    readonly clusterIP: string;
    readonly ports: readonly { readonly name: string; readonly nodePort: number }[];
  };
}

interface Deployment extends KubeObject {
  readonly status: { readonly readyReplicas?: number };
}

/** Serves node ports, and the address of the API server's Service, as kube-proxy would. It ends with the node. */
async function serveServices(node: RealNode, api: string, leads: readonly string[], { cluster }: DriverFixture) {
  await node.machine.run("ip", ["addr", "add", `${api}/32`, "dev", "lo"]);
  const program = fileURLToPath(new URL("node-ports-fixture.ts", import.meta.url));
  const env = { NODE_PORTS_ACCESS: JSON.stringify(cluster.admin.access) };
  node.machine.start("node-ports", process.execPath, [program, node.name, ...leads], env);
}

interface Entered extends Pick<GatewayCluster, "fixture" | "client"> {
  readonly world: MemoryWorld;
  readonly ports: NodePorts;
}

function entered({ fixture, client, world, ports }: Entered): Omit<GatewayCluster, "key" | "stop"> {
  const { admin } = fixture.cluster;
  const getNode = ({ spec }: GatewayPod) => fixture.getNode(spec.nodeName ?? "");
  const getPlace: GatewayCluster["getPlace"] = (pod, port) => ({ host: getNode(pod).address, port: ports[port] });
  const trust = {
    StrictHostKeyChecking: "yes",
    UserKnownHostsFile: client.file("known-hosts"),
    HostKeyAlias: "gateway",
  };
  world.compute.countWork = (uid, run) => fixture.compute.countWork(uid, run);
  return {
    fixture,
    client,
    world,
    getNode,
    getPlace,
    startJob: async (name, port, changes = {}, more = {}) => {
      const access = { login: `gpu-dev-${name}`, sshKeys: [client.key] };
      const page = { addressLabel: name, ports: [{ port, kind: "http" as const }] };
      const input = { ...newEnvironment(name, { gpus: 1 }), ...access, ...page, ...more };
      const { uid } = await createEnvironment(world.as("alice"), input);
      await world.advance(60_000);
      const run = await fixture.applied({ command: undefined, ...changes, uid });
      await fixture.until(run, (seen) => seen?.state === "ready");
      return run;
    },
    listReady: async () => {
      const { items } = must(await admin.get<{ items: GatewayPod[] }>(gatewayPods));
      return items.filter(isReady).toSorted((left, right) => (getNode(left).name < getNode(right).name ? -1 : 1));
    },
    sshWords: (pod, job) => {
      const { host, port } = getPlace(pod, "ssh");
      const options = Object.entries(trust).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
      return [...options, ...client.options, "-p", String(port), `gpu-dev-${job}@${host}`];
    },
    followLog: async ({ metadata }) =>
      followGatewayLog(await admin.open(`${gatewayPods}/${metadata.name}/log?follow=true`)),
  };
}
