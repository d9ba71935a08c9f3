import type { Run } from "#core/ports/compute.ts";
import { formatHostName, formatNetworkName, nameOfRun } from "../names.ts";

/** One entry of a container's environment. */
export interface Variable {
  readonly name: string;
  readonly value: string;
}

/** Each pod has an address of its own, so the port may be the same everywhere: the one that torchrun takes. */
const masterPort = 29_500;

/** What Berth says to a run, which what the run was given cannot change; the same as the process driver says. */
export function buildVariables(run: Run, machine: number): Variable[] {
  const { shares, gpusPerMachine } = run;
  const { mounts, ports } = machine === 0 ? run : { mounts: [], ports: [] };
  const http = ports.find(({ kind }) => kind === "http");
  const said: Record<string, string | undefined> = {
    BERTH_GPUS: String(gpusPerMachine),
    BERTH_RUN: nameOfRun(run),
    WORKSPACE: mounts[0]?.path,
    ...Object.fromEntries(mounts.map(({ path }, at) => [`BERTH_VOLUME_${at + 1}`, path])),
    ...Object.fromEntries(ports.map(({ port }) => [`PORT_${port}`, String(port)])),
    PORT: http && String(http.port),
    ...(shares.length > 1 ? ranks(run, machine) : {}),
  };
  return Object.entries(said).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
}

function ranks(run: Run, machine: number): Record<string, string> {
  return {
    NODE_RANK: String(machine),
    NNODES: String(run.shares.length),
    MASTER_ADDR: `${formatHostName(0)}.${formatNetworkName(run)}`,
    MASTER_PORT: String(masterPort),
  };
}
