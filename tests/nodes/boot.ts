import { dirname, join } from "node:path";
import { findInstanceType } from "#core/fleet.ts";
import { runtimeAnswers } from "./cri.ts";
import { type Machine, type MachineProcess, startMachine } from "./machine.ts";
import { writeConfig } from "./node-config.ts";
import type { NodeSurroundings, RealNodeOptions } from "./real-node.ts";
import { containerdAnswers, containerdRoot, importImage } from "./unpacked-images.ts";

/** A machine with the running programs of a node. */
export interface BootedNode {
  readonly machine: Machine;
  readonly programs: Readonly<Record<"containerd" | "kubelet" | "gpus", NodeProgram>>;
}

/** A program of a node that a test may kill. */
export interface NodeProgram {
  signal(signal: NodeJS.Signals): void;
  /** Kills it, as a crash would, and returns when it has ended. */
  kill(): Promise<void>;
  /** Starts it, or starts it again. */
  start(): void;
  /** Returns what the promise returns. Throws with the program's log if it ends first. */
  whileRunning<Value>(promise: Promise<Value>): Promise<Value>;
}

/** Files of a node's home with which tests change it. */
export const nodeFiles = { unhealthy: "unhealthy", availableMemory: "available-memory" } as const;

interface BootSettings extends NodeSurroundings {
  readonly number: number;
  readonly home: string;
  readonly cgroup: string;
}

/** Starts the machine of a node and its programs. It gets its images at the first start. */
export async function bootNode(options: RealNodeOptions, settings: BootSettings): Promise<BootedNode> {
  const { number, network, programs: paths, home } = settings;
  const machine = await startMachine(paths.pause, home, options.diskMb);
  try {
    await network.connect(machine.pid, number);
    await requireWay(machine, options.name, settings);
    const programs = await preparePrograms(machine, options, settings);
    const isNew = await copyImages(machine, settings.unpackedImages);
    programs.containerd.start();
    await programs.containerd.whileRunning(containerdAnswers(machine));
    if (isNew) for (const image of settings.images) await importImage(machine, image);
    await programs.containerd.whileRunning(runtimeAnswers(machine));
    if (options.gpuPlugin) programs.gpus.start();
    programs.kubelet.start();
    return { machine, programs };
  } catch (error) {
    await machine.stop();
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

/** Gives a new disk the images that every node has. Returns false for the disk of an earlier start. */
async function copyImages(machine: Machine, unpackedImages: string): Promise<boolean> {
  if ((await machine.run("ls", [dirname(containerdRoot)])) !== "") return false;
  await machine.run("cp", ["--archive", unpackedImages, containerdRoot]);
  return true;
}

async function preparePrograms(
  machine: Machine,
  { name, instanceType, zone = "us-east-1a", diskMb, kubelet }: RealNodeOptions,
  { number, network, programs: paths, home, cgroup, controlPlane, restrictsOomScore }: BootSettings,
): Promise<BootedNode["programs"]> {
  const address = network.nodeAddress(number);
  const clientAuthority = join(controlPlane.home, "kubelet-client.crt");
  const { nodeGraceSeconds } = controlPlane;
  const { plugins } = paths;
  const node = { number, address, plugins, cgroup, clientAuthority, restrictsOomScore, nodeGraceSeconds, diskMb };
  const config = await writeConfig(home, { ...node, kubelet });
  const labels = { "node.kubernetes.io/instance-type": instanceType, "topology.kubernetes.io/zone": zone };
  const type = findInstanceType(instanceType);
  if (!type) throw new Error(`There is no instance type ${instanceType}`);
  const kubeletFlags = [
    `--config=${config.kubelet}`,
    `--kubeconfig=${join(controlPlane.home, "kubelet.kubeconfig")}`,
    `--hostname-override=${name}`,
    `--node-ip=${address}`,
    `--node-labels=${Object.entries(labels).map(([label, value]) => `${label}=${value}`)}`,
  ];
  const kubeletEnv = {
    NODE_CPUS: String(type.vcpus),
    NODE_MEMORY_GB: String(type.memoryGb),
    NODE_AVAILABLE_MEMORY: join(home, nodeFiles.availableMemory),
  };
  const gpuArgs = [String(type.gpus), join(home, nodeFiles.unhealthy)];
  return {
    containerd: nodeProgram(() => machine.start("containerd", "containerd", ["--config", config.containerd])),
    kubelet: nodeProgram(() => machine.start("kubelet", paths.kubelet, kubeletFlags, kubeletEnv)),
    gpus: nodeProgram(() => machine.start("gpus", paths.gpus, gpuArgs)),
  };
}

function nodeProgram(start: () => MachineProcess): NodeProgram {
  let running: MachineProcess | undefined;
  const find = () => {
    if (!running) throw new Error("The program was never started");
    return running;
  };
  return {
    signal: (signal) => find().signal(signal),
    async kill() {
      find().signal("SIGKILL");
      await find().ended;
    },
    start() {
      running = start();
    },
    whileRunning: (promise) => find().whileRunning(promise),
  };
}
