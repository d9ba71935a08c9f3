import type { MachineGroup } from "#core/ports/machine-groups.ts";
import { machineGroupsConformance } from "../conformance/machine-groups.ts";
import { memoryMachineGroups } from "./memory-machine-groups.ts";

machineGroupsConformance(async () => {
  const machineGroups = memoryMachineGroups();
  const groups = new Map<string, MachineGroup>();
  const zones: [string, string] = ["zone-a", "zone-b"];
  machineGroups.set([]);
  return {
    machineGroups,
    zones,
    async create({ name, instanceTypes, mostNodes, taint }) {
      const numbers = { mostNodes, leastNodes: 0, desiredNodes: 0 };
      groups.set(name, { name, instanceTypes, zones, ...numbers, isActive: true, admitsRuns: taint !== "other" });
      machineGroups.set([...groups.values()]);
    },
    async remove(name) {
      groups.delete(name);
      machineGroups.set([...groups.values()]);
    },
  };
});
