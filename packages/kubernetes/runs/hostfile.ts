import type { Run } from "#core/ports/compute.ts";
import { formatHostfile, hostfileDirectory, hostfileName } from "#core/ports/hostfile.ts";
import { annotation, formatMachineAddress } from "../names.ts";

/** Fields of a pod that mount one of its annotations as a file. */
interface ShownFile {
  readonly annotations: Readonly<Record<string, string>>;
  readonly volumes: readonly object[];
  readonly mounts: readonly object[];
}

/** Returns the parts that show the hostfile in each pod of a run of several machines. */
export function showHostfile(run: Run): ShownFile {
  if (run.shares.length === 1) return { annotations: {}, volumes: [], mounts: [] };
  const addresses = run.shares.map((_, machine) => formatMachineAddress(run, machine));
  const fieldRef = { fieldPath: `metadata.annotations['${annotation.hostfile}']` };
  return {
    annotations: { [annotation.hostfile]: formatHostfile(addresses, run.gpusPerMachine) },
    volumes: [{ name: "hosts", downwardAPI: { items: [{ path: hostfileName, fieldRef }] } }],
    mounts: [{ name: "hosts", mountPath: hostfileDirectory, readOnly: true }],
  };
}
