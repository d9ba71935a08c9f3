import { directoryBlobs } from "#aws/s3/directory-blobs.ts";
import { toPodSettings } from "#aws/settings/pod-settings.ts";
import type { GatewayPorts } from "#gateway/ports/reach.ts";
import type { SshServer } from "#gateway/ssh/ssh.ts";
import { processCompute } from "#process/compute.ts";
import { processLiveLogs } from "#process/logs/live-logs.ts";
import { describeIsolation } from "#process/network/network.ts";
import { whyNetworkIsShared } from "#process/network/network-probe.ts";
import type { ProcessComputeOptions } from "#process/runs/host.ts";
import { findControlGroups } from "#process/sandbox/control-groups.ts";
import { findLimits, type LimitWay } from "#process/sandbox/limits.ts";
import { findIsolation } from "#process/sandbox/sandbox-probe.ts";
import { findLocking } from "#process/supervisor/lock.ts";
import { processVolumes } from "#process/volumes/volumes.ts";
import { chooseExposure } from "./cluster/cluster-exposure.ts";
import { requireMachine } from "./cluster/cluster-home.ts";
import type { Environments } from "./environments.ts";
import { startHomeSsh } from "./home-ssh.ts";
import { adoptRuns } from "./running-environments.ts";
import { sandboxPorts } from "./sandbox/sandbox-ports.ts";
import { sandboxUse } from "./sandbox/sandbox-use.ts";
import type { StackStart } from "./stack-start.ts";

/** Opens environments on the cluster of the kubeconfig. The driver is imported lazily. */
export async function environmentsOnCluster(start: StackStart, blobs: string): Promise<Environments> {
  const { config, environment, home, log, parts, settings, signal } = start;
  const exposure = chooseExposure(config, config.hasDomain ? settings.domain : undefined);
  const { clusterEnvironments } = await import("./cluster/cluster-environments.ts");
  const {
    KUBECONFIG: kubeconfig,
    KUBE_CONTEXT: context,
    NODE_TYPES: nodeTypes,
    NODE_TOLERATIONS: tolerations,
  } = config;
  const pods = toPodSettings(config);
  const cluster = {
    kubeconfig,
    context,
    environment,
    nodeTypes,
    tolerations,
    pods,
    log,
    toolsImage: config.TOOLS_IMAGE,
  };
  const where = { home: home.path, isUsed: home.earlier !== undefined };
  const kept = { blobs: directoryBlobs(blobs), watchesGpus: settings.idleGpuMinutes !== undefined };
  const whenStopped = (stop: () => Promise<void>) => parts.push({ stop });
  const startSsh = (ports: GatewayPorts) => getStartSsh(start, ports);
  return clusterEnvironments({ ...where, ...cluster, ...kept, exposure, signal, whenStopped, startSsh });
}

async function getStartSsh(
  { config, home: { path }, log, parts }: StackStart,
  ports: GatewayPorts,
): Promise<SshServer> {
  const ssh = await startHomeSsh({ home: path, ...ports, port: config.SSH_PORT, log });
  parts.push(ssh);
  return ssh;
}

/** Opens environments as processes of this machine. Throws if the home belongs to a cluster. */
export async function environmentsOnMachine(start: StackStart, blobs: string): Promise<Environments> {
  const { config, home, log, isolation } = start;
  const { path } = home;
  requireMachine(path);
  const trying = isolation ?? findIsolation();
  const ports = sandboxPorts(path);
  const ssh = await getStartSsh(start, ports);
  // Other processes probe the isolation, so do the work of this one before awaiting them.
  const volumes = processVolumes({ home: path, blobs, log });
  const [locking, groups] = [findLocking(), findControlGroups()];
  const isolated = await trying;
  const limits = findLimits(isolated.isolation, groups);
  requireMemoryLimit(config, limits);
  const nodes = { home: path, nodes: config.nodes, programs: config.programs };
  const entry = { sshPort: ssh.port, sshHostKey: ssh.hostKey };
  return machineEnvironments(
    volumes,
    { reach: ports.reach, getUse: sandboxUse(path) },
    { ...nodes, ...entry, locking, limits, ...isolated },
  );
}

function machineEnvironments(
  volumes: ReturnType<typeof processVolumes>,
  ways: Pick<Environments, "reach" | "getUse">,
  options: ProcessComputeOptions,
): Environments {
  const compute = processCompute(options);
  const isShared = compute.isolation !== "none" && compute.network === "shared";
  return {
    compute,
    volumes,
    ...ways,
    liveLogs: processLiveLogs(options.home),
    isolation: describeIsolation(compute.isolation, compute.network),
    limits: compute.limits,
    sharedNetwork: isShared ? whyNetworkIsShared() : undefined,
    sshPort: options.sshPort,
    cluster: undefined,
    adopt: async (ctx) => void (await Promise.all([adoptRuns(ctx, compute), volumes.adopt()])),
    shutdown: async () => void (await Promise.all([compute.shutdown(), volumes.shutdown()])),
    leave: async () => void (await Promise.all([compute.leave(), volumes.shutdown()])),
  };
}

const refusal =
  `LOCAL_USERS names users, and this machine cannot limit the memory of an environment as a whole. One user's job could take all
of it, in processes or in buffers of sockets. Hand on control groups ("Limits of environments" in docs/operate.md), or set
SHARE_WITHOUT_MEMORY_LIMIT=1 to share the stack all the same.`.replaceAll("\n", " ");

/**
 * Throws if several users would share a machine on which one of them can use all memory. Limits of a process
 * (getrlimit(2)) do not help: they count neither other processes nor the kernel's socket buffers.
 */
export function requireMemoryLimit(
  config: { readonly LOCAL_USERS: readonly string[]; readonly SHARE_WITHOUT_MEMORY_LIMIT: "0" | "1" },
  { groups }: Pick<LimitWay, "groups">,
): void {
  const isShared = config.LOCAL_USERS.length > 0;
  if (isShared && !groups?.places.memory && config.SHARE_WITHOUT_MEMORY_LIMIT === "0") throw new Error(refusal);
}
