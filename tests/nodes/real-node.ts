import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findInstanceType } from "#core/fleet.ts";
import type { KubeClient, KubeObject } from "../cluster/client.ts";
import { seen } from "../cluster/cluster.ts";
import type { ControlPlane } from "../cluster/control-plane.ts";
import { must } from "../cluster/objects.ts";
import { type BootedNode, bootNode, nodeFiles } from "./boot.ts";
import { createCgroup, removeCgroup } from "./cgroups.ts";
import type { Machine } from "./machine.ts";
import type { NodeNetwork } from "./network.ts";
import type { NodePrograms } from "./programs.ts";

/** A node with a kubelet and containerd, in namespaces of its own. */
export interface RealNode {
  readonly name: string;
  /** Address that this machine and the other nodes reach. */
  readonly address: string;
  /** Another one after each start. */
  readonly machine: Machine;
  /** Its programs, which a test may kill. Others after each start. */
  readonly programs: BootedNode["programs"];
  /** Marks GPUs of a node with `gpuPlugin` as unhealthy, by their ids: `GPU-0`. */
  setUnhealthy(ids: readonly string[]): Promise<void>;
  /** Sets the memory that the kubelet sees as available, or undefined for this machine's. */
  setAvailableMemory(mb: number | undefined): Promise<void>;
  /** Kills all processes of the node, like a power cut. Its disk stays. */
  powerOff(): Promise<void>;
  /** Starts the node again under its name. */
  powerOn(): Promise<void>;
  /** Ends the node's processes and removes its cgroups. */
  stop(): Promise<void>;
}

export interface RealNodeOptions {
  readonly name: string;
  /** Size that its kubelet reports, and the GPUs that its node object offers. */
  readonly instanceType: string;
  readonly zone?: string;
  /** A device plugin offers its GPUs. Without one they are only written to the node's object. */
  readonly gpuPlugin?: true;
  /** Size of its disk, which is kept in memory then, so that a test can fill it. */
  readonly diskMb?: number;
  /** Settings of its kubelet that differ from those of other nodes (KubeletConfiguration v1beta1). */
  readonly kubelet?: object;
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
  /** Folder of containerd with the images that every node has. */
  readonly unpackedImages: string;
  /** Archives of further images. */
  readonly images: readonly string[];
}

/** Starts a node, and returns once the control plane has seen it ready. Throws with the log of a part that ends. */
export async function startNode(
  number: number,
  options: RealNodeOptions,
  surroundings: NodeSurroundings,
): Promise<RealNode> {
  const { name } = options;
  const home = join(surroundings.home, name);
  const cgroup = `${surroundings.run}/${name}`;
  await mkdir(home, { recursive: true });
  let booted: BootedNode | undefined;
  const getBooted = () => {
    if (!booted) throw new Error(`${name} is off`);
    return booted;
  };
  const powerOff = async () => {
    await booted?.machine.stop();
    booted = undefined;
    await removeCgroup(cgroup);
  };
  const powerOn = async () => {
    await createCgroup(cgroup);
    booted = await bootNode(options, { ...surroundings, number, home, cgroup });
  };
  try {
    await powerOn();
    await getBooted().programs.kubelet.whileRunning(becomeReady(surroundings.admin, options));
  } catch (error) {
    await powerOff();
    throw error;
  }
  return {
    name,
    address: surroundings.network.nodeAddress(number),
    get machine() {
      return getBooted().machine;
    },
    get programs() {
      return getBooted().programs;
    },
    async setUnhealthy(ids) {
      await writeFile(join(home, nodeFiles.unhealthy), ids.join("\n"));
      getBooted().programs.gpus.signal("SIGHUP");
    },
    setAvailableMemory: (mb) => writeFile(join(home, nodeFiles.availableMemory), String(mb ?? "")),
    powerOff,
    powerOn,
    stop: powerOff,
  };
}

interface Node extends KubeObject {
  readonly spec: { readonly taints?: readonly { readonly key: string }[] };
  readonly status?: {
    readonly allocatable?: Readonly<Record<string, string>>;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** Without a device plugin, GPUs are written to the node's object. The kubelet keeps what it finds there. */
async function becomeReady(admin: KubeClient, { name, instanceType, gpuPlugin }: RealNodeOptions): Promise<void> {
  const path = `/api/v1/nodes?fieldSelector=metadata.name%3D${name}`;
  const { gpus = 0 } = findInstanceType(instanceType) ?? {};
  await seen<Node>(admin, path, ({ status }) => status?.allocatable !== undefined);
  if (gpus > 0 && !gpuPlugin) {
    const amount = { "nvidia.com/gpu": String(gpus) };
    must(await admin.patch(`/api/v1/nodes/${name}/status`, { status: { capacity: amount, allocatable: amount } }));
  }
  await seen<Node>(admin, path, ({ spec, status }) => {
    const isReady = status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
    const hasGpus = gpus === 0 || status?.allocatable?.["nvidia.com/gpu"] === String(gpus);
    return isReady === true && hasGpus && (spec.taints ?? []).length === 0;
  });
}
