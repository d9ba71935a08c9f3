import type { Run } from "#core/ports/compute.ts";
import { findHomeMount } from "#core/ports/home-mount.ts";
import { hostfileDirectory, hostfileName } from "#core/ports/hostfile.ts";
import { formatMachineAddress, nameOfRun } from "../names.ts";

export interface Variable {
  readonly name: string;
  readonly value: string;
}

/** Port of torchrun. Each pod has its own address, so all runs can use the same port. */
const masterPort = 29_500;

/**
 * Returns the variables that Berth sets in a run. They equal those of the process driver, and override the user's, but
 * for HOME and WORLD_SIZE.
 */
export function buildVariables(run: Run, machine: number): Variable[] {
  const { shares, gpusPerMachine } = run;
  const { mounts, ports } = machine === 0 ? run : { mounts: [], ports: [] };
  const http = ports.find(({ kind }) => kind === "http");
  const values: Record<string, string | undefined> = {
    BERTH_GPUS: String(gpusPerMachine),
    BERTH_RUN: nameOfRun(run),
    HOME: run.env.HOME === undefined ? findHomeMount(mounts)?.path : undefined,
    WORKSPACE: mounts[0]?.path,
    ...Object.fromEntries(mounts.map(({ path }, at) => [`BERTH_VOLUME_${at + 1}`, path])),
    ...Object.fromEntries(ports.map(({ port }) => [`PORT_${port}`, String(port)])),
    PORT: http && String(http.port),
    ...(shares.length > 1 ? ranks(run, machine) : {}),
  };
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
}

/** Returns the variables of torchrun. Scripts that start one process for each GPU themselves read WORLD_SIZE. */
function ranks(run: Run, machine: number): Record<string, string> {
  return {
    NODE_RANK: String(machine),
    NNODES: String(run.shares.length),
    WORLD_SIZE: run.env.WORLD_SIZE ?? String(run.shares.length * run.gpusPerMachine),
    MASTER_ADDR: formatMachineAddress(run, 0),
    MASTER_PORT: String(masterPort),
    BERTH_HOSTFILE: `${hostfileDirectory}/${hostfileName}`,
  };
}
