import { directoryBlobs } from "#aws/s3/directory-blobs.ts";
import { findControlGroups } from "#process/sandbox/control-groups.ts";
import { findIsolation } from "#process/sandbox/isolation-probe.ts";
import { findLimits } from "#process/sandbox/limits.ts";
import { findLocking } from "#process/supervisor/lock.ts";
import { processVolumes } from "#process/volumes/volumes.ts";
import { chooseExposure } from "./cluster/cluster-exposure.ts";
import { requireMachine } from "./cluster/cluster-home.ts";
import type { Environments } from "./environments.ts";
import { machineEnvironments } from "./machine-environments.ts";
import { machineSshRuns } from "./machine-ssh.ts";
import type { SshRuns } from "./ssh/channels/ssh-runs.ts";
import { requireMemoryLimit } from "./ssh/login/sharing.ts";
import { type SshServer, startSsh } from "./ssh/ssh.ts";
import type { StackStart } from "./stack-start.ts";

/** Opens environments on the cluster of the kubeconfig. The driver is imported lazily. */
export async function environmentsOnCluster(start: StackStart, blobs: string): Promise<Environments> {
  const { config, environment, home, log, parts, settings, signal } = start;
  const exposure = chooseExposure(config, config.hasDomain ? settings.domain : undefined);
  const { clusterEnvironments } = await import("./cluster/cluster-environments.ts");
  const { KUBECONFIG: kubeconfig, KUBE_CONTEXT: context, NODE_TYPES: nodeTypes } = config;
  const cluster = { kubeconfig, context, environment, nodeTypes, log, toolsImage: config.TOOLS_IMAGE };
  const where = { home: home.path, isUsed: home.earlier !== undefined };
  const kept = { blobs: directoryBlobs(blobs), watchesGpus: settings.idleGpuMinutes !== undefined };
  const whenStopped = (stop: () => Promise<void>) => parts.push({ stop });
  const startSsh = (runs: SshRuns) => getStartSsh(start, runs);
  return clusterEnvironments({ ...where, ...cluster, ...kept, exposure, signal, whenStopped, startSsh });
}

async function getStartSsh({ config, home: { path }, log, parts }: StackStart, runs: SshRuns): Promise<SshServer> {
  const ssh = await startSsh({ home: path, runs, port: config.SSH_PORT, log });
  parts.push(ssh);
  return ssh;
}

/** Opens environments as processes of this machine. Throws if the home belongs to a cluster. */
export async function environmentsOnMachine(start: StackStart, blobs: string): Promise<Environments> {
  const { config, home, log, isolation } = start;
  const { path } = home;
  requireMachine(path);
  const trying = isolation ?? findIsolation();
  const ssh = await getStartSsh(start, machineSshRuns(path));
  // Other processes probe the isolation, so do the work of this one before awaiting them.
  const volumes = processVolumes({ home: path, blobs, log });
  const [locking, groups] = [findLocking(), findControlGroups()];
  const isolated = await trying;
  const limits = findLimits(isolated.isolation, groups);
  requireMemoryLimit(config, limits);
  const nodes = { home: path, nodes: config.nodes, programs: config.programs };
  const entry = { sshPort: ssh.port, sshHostKey: ssh.hostKey };
  return machineEnvironments(volumes, { ...nodes, ...entry, locking, limits, ...isolated });
}
