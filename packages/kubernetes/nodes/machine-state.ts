import type { Compute, MachineState } from "#core/ports/compute.ts";

/** Asks the provider what became of the machine behind a node; answers `unknown` where it throws. */
export function machineStates(getMachine: Compute["getMachineState"]): Compute["getMachineState"] {
  return async (node) => {
    try {
      return await getMachine(node);
    } catch {
      return "unknown" satisfies MachineState;
    }
  };
}
