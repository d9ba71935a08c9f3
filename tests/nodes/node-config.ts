import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pauseImage } from "./images.ts";
import { podSubnet } from "./network.ts";

export interface NodeSettings {
  /** Number of the node within its run, from 1 on. */
  readonly number: number;
  readonly address: string;
  /** Folder of the CNI plugins. */
  readonly plugins: string;
  readonly cgroup: string;
  /** Certificate of the only client that the kubelet serves. */
  readonly clientAuthority: string;
  /** Containers are not protected from the OOM killer, since that takes CAP_SYS_RESOURCE. */
  readonly restrictsOomScore: boolean;
  /** How long the control plane lets a node be silent. */
  readonly nodeGraceSeconds: number;
  /** Size of its disk if that is small. */
  readonly diskMb: number | undefined;
  /** Settings that replace those of every kubelet. */
  readonly kubelet: object | undefined;
}

/** Room on a small disk below which its node evicts pods. */
const LEAST_FREE_MB = 100;

export const containerdSocket = "/run/containerd.sock";

/** Paths of the configuration of one node. */
export interface NodeConfig {
  readonly containerd: string;
  readonly kubelet: string;
}

/** Writes what containerd, its network and the kubelet read when they start. */
export async function writeConfig(folder: string, settings: NodeSettings): Promise<NodeConfig> {
  const paths = { containerd: join(folder, "containerd.toml"), kubelet: join(folder, "kubelet.json") };
  const network = join(folder, "cni");
  await mkdir(network, { recursive: true });
  await Promise.all([
    writeFile(paths.containerd, formatContainerd(settings, network)),
    writeFile(join(network, "10-bridge.conflist"), JSON.stringify(getNetwork(settings))),
    writeFile(paths.kubelet, JSON.stringify(getKubelet(settings))),
  ]);
  return paths;
}

/** Returns the settings of a containerd that only keeps images. Lines before them must be outside of a table. */
export function formatContainerdBasis(): string {
  return `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "${containerdSocket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd-opt"`;
}

function formatContainerd({ plugins, restrictsOomScore }: NodeSettings, network: string): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `${formatContainerdBasis()}
[${cri}]
  sandbox_image = "${pauseImage}"
  restrict_oom_score_adj = ${restrictsOomScore}
  stats_collect_period = 1
  [${cri}.cni]
    bin_dir = ${JSON.stringify(plugins)}
    conf_dir = ${JSON.stringify(network)}
`;
}

function getNetwork({ number }: NodeSettings): object {
  const ipam = {
    type: "host-local",
    ranges: [[{ subnet: podSubnet(number) }]],
    routes: [{ dst: "0.0.0.0/0" }],
  };
  const bridge = { type: "bridge", bridge: "pods", isGateway: true, hairpinMode: true, ipam };
  return { cniVersion: "1.0.0", name: "pods", plugins: [bridge] };
}

function getKubelet({ address, cgroup, clientAuthority, nodeGraceSeconds, diskMb, kubelet }: NodeSettings): object {
  const leastFree = diskMb === undefined ? "1%" : `${LEAST_FREE_MB}Mi`;
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address,
    healthzPort: 0,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: clientAuthority },
    },
    authorization: { mode: "AlwaysAllow" },
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${cgroup}`,
    failCgroupV1: false,
    failSwapOn: false,
    // The default depends on the version of cgroups.
    singleProcessOOMKill: true,
    makeIPTablesUtilChains: false,
    resolvConf: "",
    // The default is a folder of this machine.
    volumePluginDir: "/var/lib/kubelet/volume-plugins",
    // The disk is that of this machine, which other programs fill.
    imageGCHighThresholdPercent: 100,
    evictionHard: { "memory.available": "100Mi", "nodefs.available": leastFree, "imagefs.available": leastFree },
    evictionPressureTransitionPeriod: "1s",
    // It renews its lease four times in that time.
    nodeLeaseDurationSeconds: nodeGraceSeconds,
    nodeStatusUpdateFrequency: "1s",
    nodeStatusReportFrequency: "5m",
    ...kubelet,
  };
}
