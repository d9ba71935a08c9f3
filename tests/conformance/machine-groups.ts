import { describe, expect, it } from "vitest";
import type { MachineGroups } from "#core/ports/machine-groups.ts";

/** A group as the suite creates it: one machine type, two zones of the provider, a maximum. */
export interface NewGroup {
  readonly name: string;
  readonly instanceTypes: readonly string[];
  readonly mostNodes: number;
  readonly taint?: "gpu" | "other";
}

export interface MachineGroupsPlace {
  readonly machineGroups: MachineGroups;
  /** The two zones of every group, sorted. */
  readonly zones: readonly [string, string];
  create(group: NewGroup): Promise<void>;
  remove(name: string): Promise<void>;
}

export function machineGroupsConformance(open: () => Promise<MachineGroupsPlace>): void {
  describe("machine groups", () => {
    it("lists no groups of a provider that has none", async () => {
      const { machineGroups } = await open();

      expect(await machineGroups.list()).toEqual([]);
    });

    it("lists groups by name, with types, zones and the most machines", async () => {
      const { machineGroups, zones, create } = await open();
      await create({ name: "p5", instanceTypes: ["p5.48xlarge"], mostNodes: 10 });
      await create({ name: "mixed", instanceTypes: ["g5.12xlarge", "g6.12xlarge"], mostNodes: 1 });

      expect(await machineGroups.list()).toEqual([
        {
          name: "mixed",
          instanceTypes: ["g5.12xlarge", "g6.12xlarge"],
          zones,
          mostNodes: 1,
          leastNodes: 0,
          desiredNodes: 0,
          isActive: true,
          admitsRuns: true,
        },
        {
          name: "p5",
          instanceTypes: ["p5.48xlarge"],
          zones,
          mostNodes: 10,
          leastNodes: 0,
          desiredNodes: 0,
          isActive: true,
          admitsRuns: true,
        },
      ]);
    });

    it("says which groups keep runs out by a taint", async () => {
      const { machineGroups, create } = await open();
      await create({ name: "gpu", instanceTypes: ["p5.48xlarge"], mostNodes: 1, taint: "gpu" });
      await create({ name: "other", instanceTypes: ["p5.48xlarge"], mostNodes: 1, taint: "other" });

      const listed = await machineGroups.list();

      expect(listed?.map(({ name, admitsRuns }) => [name, admitsRuns])).toEqual([
        ["gpu", true],
        ["other", false],
      ]);
    });

    it("lists every group of many, and none that was removed", async () => {
      const { machineGroups, create, remove } = await open();
      const names = Array.from({ length: 105 }, (_, n) => `group-${String(n).padStart(3, "0")}`);
      for (const name of names) await create({ name, instanceTypes: ["g5.12xlarge"], mostNodes: 1 });
      await remove("group-007");

      const listed = await machineGroups.list();

      expect(listed?.map(({ name }) => name)).toEqual(names.filter((name) => name !== "group-007"));
    });
  });
}
