import { describe, expect, it } from "vitest";
import { instanceTypes, sharedType } from "#core/fleet.ts";
import { computeQuantities } from "./machine-share.ts";

const share = (units: number) => ({ node: "n", units });

describe("a machine's share", () => {
  it.each(instanceTypes.filter(({ gpus }) => gpus > 0))("of all GPUs of $name is what the machine offers", (type) => {
    const all = { instanceType: type.name, shares: [share(type.gpus)], gpusPerMachine: type.gpus, resources: null };

    const { cpu, memory, "nvidia.com/gpu": gpus } = computeQuantities(all);

    expect(gpus).toBe(String(type.gpus));
    expect(cpu).toBe(`${Math.floor(type.vcpus * 0.9)}000m`);
    expect(memory).toBe(`${Math.floor(type.memoryGb * 1024 * 0.9)}Mi`);
  });

  it("with one of eight GPUs includes an eighth of its memory, and of its processors the whole ones", () => {
    const run = { instanceType: "p5.48xlarge", shares: [share(1)], gpusPerMachine: 1, resources: null };

    expect(computeQuantities(run)).toEqual({ cpu: "21000m", memory: "235929Mi", "nvidia.com/gpu": "1" });
  });

  it.each([1, 2, 4])("with %i GPUs has a whole number of processors, of any type", (gpus) => {
    const cpus = instanceTypes
      .filter((type) => type.gpus >= gpus)
      .map(({ name }) => ({ instanceType: name, shares: [share(gpus)], gpusPerMachine: gpus, resources: null }))
      .map((run) => computeQuantities(run).cpu);

    expect(cpus).not.toEqual([]);
    expect(cpus.filter((cpu) => !/^[1-9]\d*000m$/.test(cpu ?? ""))).toEqual([]);
  });

  it("without GPUs is everything that it offers to pods", () => {
    const whole = { instanceType: "c7i.8xlarge", shares: [share(1)], gpusPerMachine: 0, resources: null };

    expect(computeQuantities(whole)).toEqual({ cpu: "28000m", memory: "58982Mi" });
  });

  it("of a shared machine is the request, by default 4 GB for each vCPU", () => {
    const shared = { instanceType: sharedType.name, shares: [share(2)], gpusPerMachine: 0 };

    expect(computeQuantities({ ...shared, resources: null })).toEqual({ cpu: "2000m", memory: "8192Mi" });
    expect(computeQuantities({ ...shared, resources: { cpus: 0.5, memoryMb: 700 } })).toEqual({
      cpu: "500m",
      memory: "700Mi",
    });
  });

  it.each([
    { instanceType: "x.none", shares: [share(1)] },
    { instanceType: "p5.48xlarge", shares: [] },
    { instanceType: "p5.48xlarge", shares: [share(8), share(4)] },
  ])("is refused for $instanceType with $shares.length invalid shares", (input) => {
    expect(() => computeQuantities({ ...input, gpusPerMachine: 8, resources: null })).toThrow();
  });
});
