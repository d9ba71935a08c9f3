import { tmpdir } from "node:os";
import { join } from "node:path";
import { binaryPath } from "../cluster/binary.ts";
import { type KubeClient, kubeClient } from "../cluster/client.ts";
import { type ControlPlane, startControlPlane } from "../cluster/control-plane.ts";
import { removeCgroup } from "./cgroups.ts";
import { newRunName, removeLeftovers } from "./leftovers.ts";
import { createNetwork } from "./network.ts";
import { findPrograms } from "./programs.ts";
import { type RealNode, type RealNodeOptions, startNode } from "./real-node.ts";
import { findFullDisk, lacksSysResource, readFacts } from "./requirements.ts";
import { unpackImages } from "./unpacked-images.ts";

/** A control plane with real nodes, for the tests of one file. */
export interface RealCluster {
  /** Name that its bridge and its cgroups carry. */
  readonly run: string;
  readonly controlPlane: ControlPlane;
  readonly admin: KubeClient;
  /** In the order asked for. */
  readonly nodes: readonly RealNode[];
  stop(): Promise<void>;
}

export interface RealClusterOptions {
  /** How long a node may be silent. */
  readonly nodeGraceSeconds?: number | undefined;
  /** Archives of further images that the nodes have. */
  readonly archives?: readonly string[] | undefined;
  /** Whether its control plane runs Deployments. Default: no. */
  readonly runsDeployments?: boolean | undefined;
}

/** Starts what `npm run test:nodes` built. Removes what a killed run left first. */
export async function startRealCluster(
  nodes: readonly RealNodeOptions[],
  { nodeGraceSeconds = 40, archives = [], runsDeployments }: RealClusterOptions = {},
): Promise<RealCluster> {
  await removeLeftovers();
  const fullDisk = await findFullDisk(tmpdir());
  if (fullDisk !== undefined) throw new Error(fullDisk);
  const run = await newRunName();
  const [binary, programs, facts] = await Promise.all([
    binaryPath(process.env),
    findPrograms(process.env),
    readFacts(process.env),
  ]);
  const unpackedImages = await unpackImages(process.env, programs.pause);
  const cleanups: (() => Promise<void>)[] = [];
  const stop = async () => {
    const problems: unknown[] = [];
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup().catch((error) => problems.push(error));
    if (problems.length > 0) throw problems[0];
  };
  try {
    const network = await createNetwork(run, programs.pause);
    cleanups.push(network.remove);
    const controlPlane = await startControlPlane(binary, {
      address: network.address,
      nodeGraceSeconds,
      attachesVolumes: true,
      runsDeployments,
    });
    cleanups.push(controlPlane.stop);
    const admin = kubeClient(controlPlane.getAccess("admin"));
    cleanups.push(
      async () => admin.close(),
      () => removeCgroup(run),
    );
    const surroundings = {
      run,
      home: join(controlPlane.home, "nodes"),
      controlPlane,
      admin,
      network,
      programs,
      restrictsOomScore: lacksSysResource(facts),
      unpackedImages,
      images: archives,
    };
    const starts = await Promise.allSettled(nodes.map((node, at) => startNode(at + 1, node, surroundings)));
    const started = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
    cleanups.push(async () => void (await Promise.all(started.map((node) => node.stop()))));
    for (const start of starts) if (start.status === "rejected") throw start.reason;
    return { run, controlPlane, admin, nodes: started, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
