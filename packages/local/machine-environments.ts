import { processCompute } from "#process/compute.ts";
import { processLiveLogs } from "#process/logs/live-logs.ts";
import { describeIsolation } from "#process/network/network.ts";
import { whyNetworkIsShared } from "#process/network/shared-network.ts";
import type { ProcessComputeOptions } from "#process/runs/host.ts";
import type { processVolumes } from "#process/volumes/volumes.ts";
import { adoptRuns } from "./adoption.ts";
import type { Environments } from "./environments.ts";

export function machineEnvironments(
  volumes: ReturnType<typeof processVolumes>,
  options: ProcessComputeOptions,
): Environments {
  const compute = processCompute(options);
  const isShared = compute.isolation !== "none" && compute.network === "shared";
  return {
    compute,
    volumes,
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
