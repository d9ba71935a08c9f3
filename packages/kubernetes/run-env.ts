import type { Run } from "#core/context.ts";
import { firstMachineOf, nameOfRun } from "./names.ts";

/** One entry of a container's environment. */
export type Variable =
  | { readonly name: string; readonly value: string }
  | { readonly name: string; readonly valueFrom: object };

const indexField = "metadata.annotations['batch.kubernetes.io/job-completion-index']";
/** Each pod has an address of its own, so the port may be the same everywhere: the one that torchrun takes. */
const masterPort = 29_500;

/** What Berth says to a run, which what the run was given cannot change; the same as the process driver says. */
export function variablesOf(run: Run): Variable[] {
  const { shares, gpusPerMachine, mounts, ports } = run;
  const http = ports.find(({ kind }) => kind === "http");
  const said: Record<string, string | undefined> = {
    BERTH_GPUS: String(gpusPerMachine),
    BERTH_RUN: nameOfRun(run),
    WORKSPACE: mounts[0]?.path,
    ...Object.fromEntries(mounts.map(({ path }, at) => [`BERTH_VOLUME_${at + 1}`, path])),
    ...Object.fromEntries(ports.map(({ port }) => [`PORT_${port}`, String(port)])),
    PORT: http && String(http.port),
  };
  const plain = Object.entries(said).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
  return shares.length > 1 ? [...plain, ...ranks(run)] : plain;
}

function ranks(run: Run): Variable[] {
  return [
    { name: "NODE_RANK", valueFrom: { fieldRef: { fieldPath: indexField } } },
    { name: "NNODES", value: String(run.shares.length) },
    { name: "MASTER_ADDR", value: firstMachineOf(run) },
    { name: "MASTER_PORT", value: String(masterPort) },
  ];
}
