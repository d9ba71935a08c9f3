import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findInstanceType } from "#core/fleet.ts";
import type { KubeClient, KubeObject } from "../cluster/client.ts";
import { seen } from "../cluster/cluster.ts";
import type { ControlPlane } from "../cluster/control-plane.ts";
import { must } from "../cluster/objects.ts";
import { createCgroup, removeCgroup } from "./cgroups.ts";
import { type Machine, type MachineProcess, startMachine } from "./machine.ts";
import type { NodeNetwork } from "./network.ts";
import { containerdSocket, writeConfig } from "./node-config.ts";
import type { NodePrograms } from "./programs.ts";

/** A node with a kubelet and containerd, in namespaces of its own. */
export interface RealNode {
  readonly name: string;
  readonly machine: Machine;
  readonly containerd: MachineProcess;
  readonly kubelet: MachineProcess;
  /** Ends its processes and removes its cgroups. */
  stop(): Promise<void>;
}

export interface RealNodeOptions {
  readonly name: string;
  /** Size that its kubelet reports, and the GPUs that its node object offers. */
  readonly instanceType: string;
  readonly zone?: string;
}

/** What a node shares with the others of its run. */
export interface NodeSurroundings {
  readonly run: string;
  readonly home: string;
  readonly controlPlane: ControlPlane;
  readonly admin: KubeClient;
  readonly network: NodeNetwork;
  readonly programs: NodePrograms;
  readonly restrictsOomScore: boolean;
  /** Archives of the images that it has. */
  readonly images: readonly string[];
}

/** Starts a node, and returns once the control plane has seen it ready. Throws with the log of a part that ends. */
export async function startNode(
  number: number,
  { name, instanceType, zone = "us-east-1a" }: RealNodeOptions,
  surroundings: NodeSurroundings,
): Promise<RealNode> {
  const { controlPlane, network, programs, run } = surroundings;
  const home = join(surroundings.home, name);
  const cgroup = `${run}/${name}`;
  await mkdir(home, { recursive: true });
  await createCgroup(cgroup);
  const machine = await startMachine(programs.pause, home);
  const stop = async () => {
    await machine.stop();
    await removeCgroup(cgroup);
  };
  try {
    await network.connect(machine.pid, number);
    await requireWay(machine, name, surroundings);
    const address = network.nodeAddress(number);
    const { restrictsOomScore } = surroundings;
    const clientAuthority = join(controlPlane.home, "kubelet-client.crt");
    const settings = { number, address, plugins: programs.plugins, cgroup, clientAuthority, restrictsOomScore };
    const config = await writeConfig(home, settings);
    const containerd = machine.start("containerd", "containerd", ["--config", config.containerd]);
    await containerd.whileRunning(answers(machine));
    const labels = { "node.kubernetes.io/instance-type": instanceType, "topology.kubernetes.io/zone": zone };
    const kubelet = machine.start(
      "kubelet",
      programs.kubelet,
      [
        `--config=${config.kubelet}`,
        `--kubeconfig=${join(controlPlane.home, "kubelet.kubeconfig")}`,
        `--hostname-override=${name}`,
        `--node-ip=${address}`,
        `--node-labels=${Object.entries(labels).map(([label, value]) => `${label}=${value}`)}`,
      ],
      sizeOf(instanceType),
    );
    const isReady = kubelet.whileRunning(becomeReady(surroundings.admin, name, instanceType));
    await Promise.all([isReady, importImages(machine, name, surroundings.images)]);
    return { name, machine, containerd, kubelet, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Throws if a firewall of the machine drops what the kubelet sends to the API server. */
async function requireWay(machine: Machine, node: string, { controlPlane, network }: NodeSurroundings): Promise<void> {
  const { hostname, port } = new URL(controlPlane.getAccess("kubelet").url);
  try {
    await machine.run("timeout", ["10", "bash", "-c", `: </dev/tcp/${hostname}/${port}`]);
  } catch {
    throw new Error(
      `Packets from node ${node} do not reach this machine: let its firewall accept what comes in from ${network.name}.`,
    );
  }
}

/** Runs containerd's own client in the namespace of Kubernetes. */
async function ctr(machine: Machine, ...args: readonly string[]): Promise<string> {
  return machine.run("ctr", ["--address", containerdSocket, "--namespace", "k8s.io", ...args]);
}

async function importImages(machine: Machine, node: string, images: readonly string[]): Promise<void> {
  for (const image of images) {
    await ctr(machine, "images", "import", image).catch(({ stderr = "" }: { stderr?: string }) => {
      throw new Error(`Node ${node} cannot unpack ${image}: ${stderr.trim()}`);
    });
  }
}

async function answers(machine: Machine): Promise<void> {
  while (!(await ctr(machine, "version").catch(() => undefined))) await sleep(50);
}

interface Node extends KubeObject {
  readonly spec: { readonly taints?: readonly { readonly key: string }[] };
  readonly status?: {
    readonly allocatable?: Readonly<Record<string, string>>;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** GPUs are written to the node's object, since no device plugin runs here. The kubelet keeps what it finds there. */
async function becomeReady(admin: KubeClient, name: string, instanceType: string): Promise<void> {
  const path = `/api/v1/nodes?fieldSelector=metadata.name%3D${name}`;
  const { gpus = 0 } = findInstanceType(instanceType) ?? {};
  await seen<Node>(admin, path, ({ status }) => status?.allocatable !== undefined);
  if (gpus > 0) {
    const amount = { "nvidia.com/gpu": String(gpus) };
    must(await admin.patch(`/api/v1/nodes/${name}/status`, { status: { capacity: amount, allocatable: amount } }));
  }
  await seen<Node>(admin, path, ({ spec, status }) => {
    const isReady = status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
    return isReady === true && (spec.taints ?? []).length === 0;
  });
}

function sizeOf(instanceType: string): NodeJS.ProcessEnv {
  const type = findInstanceType(instanceType);
  if (!type) throw new Error(`No instance type ${instanceType}`);
  return { NODE_CPUS: String(type.vcpus), NODE_MEMORY_GB: String(type.memoryGb) };
}
