import type { Compute, MachineState } from "#core/ports/compute.ts";

/** Asks the provider what became of the machine behind a node; answers `unknown` where it throws. */
export function machineStates(machineOf: Compute["machineOf"]): Compute["machineOf"] {
  return async (node) => {
    try {
      return await machineOf(node);
    } catch {
      return "unknown" satisfies MachineState;
    }
  };
}
