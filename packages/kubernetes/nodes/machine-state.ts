import type { Compute, MachineState } from "#core/ports/compute.ts";

/** Returns a reader of the cloud provider's machine state, which answers `unknown` on an error. */
export function machineStates(getMachine: Compute["getMachineState"]): Compute["getMachineState"] {
  return async (node) => {
    try {
      return await getMachine(node);
    } catch {
      return "unknown" satisfies MachineState;
    }
  };
}
