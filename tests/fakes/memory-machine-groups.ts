import type { MachineGroup, MachineGroups } from "#core/ports/machine-groups.ts";

export interface MemoryMachineGroups extends MachineGroups {
  /** Lists these groups from now on. undefined: there is no provider. An error: each call throws it. */
  set(groups: readonly MachineGroup[] | undefined | Error): void;
  /** Calls so far. */
  readonly calls: number;
}

/** MachineGroups in memory, at first without a provider. */
export function memoryMachineGroups(): MemoryMachineGroups {
  let present: readonly MachineGroup[] | undefined | Error;
  let calls = 0;
  return {
    set: (groups) => {
      present = groups;
    },
    get calls() {
      return calls;
    },
    async list() {
      calls += 1;
      if (present instanceof Error) throw present;
      return present && [...present].sort((a, b) => (a.name < b.name ? -1 : 1));
    },
  };
}
