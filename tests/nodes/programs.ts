import { join } from "node:path";
import { buildPackage, programPath } from "../cluster/binary.ts";

/** Programs of a real node that are built from the Go module proxy. */
export interface NodePrograms {
  readonly kubelet: string;
  /** The first process of pods and nodes. */
  readonly pause: string;
  /** Device plugin with pretend GPUs. */
  readonly gpus: string;
  /** Folder of the CNI plugins. */
  readonly plugins: string;
}

const cni = "github.com/containernetworking/plugins/plugins";

/** CNI plugins by their Go package; tools/cluster/go.mod pins the version. */
const plugins = {
  bridge: `${cni}/main/bridge`,
  loopback: `${cni}/main/loopback`,
  "host-local": `${cni}/ipam/host-local`,
} as const satisfies Record<string, string>;

export async function findPrograms(env: NodeJS.ProcessEnv): Promise<NodePrograms> {
  const [kubelet, pause, gpus, bridge] = await Promise.all([
    programPath(env, "kubelet", ["kubelet/main.go"]),
    programPath(env, "pause", ["pause/main.go"]),
    programPath(env, "gpus", ["gpus/main.go"]),
    programPath(env, "bridge", []),
  ]);
  return { kubelet, pause, gpus, plugins: join(bridge, "..") };
}

/** Builds what is missing. The kubelet takes two minutes of a processor if Go's cache has the control plane. */
export async function buildPrograms(env: NodeJS.ProcessEnv): Promise<NodePrograms> {
  const paths = await findPrograms(env);
  await buildPackage(env, paths.pause, "./pause");
  await buildPackage(env, paths.gpus, "./gpus");
  for (const [name, goPackage] of Object.entries(plugins))
    await buildPackage(env, join(paths.plugins, name), goPackage);
  await buildPackage(env, paths.kubelet, "./kubelet");
  return paths;
}
