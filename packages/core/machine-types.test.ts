import { expect, test, vi } from "vitest";
import { countOptions, findInstanceType, gpuResource, instanceTypes } from "./fleet.ts";
import { parseMachineTypes } from "./machine-types.ts";
import { findTypesProblem } from "./machine-types-problem.ts";

vi.hoisted(() => {
  process.env.MACHINE_TYPES = "trn1.32xlarge=trainium:16:128:512:aws.amazon.com/neuron";
});

test("a type has the numbers of the setting, and GPUs that count by a resource", () => {
  const text = "g6e.12xlarge=l40s:4:48:384, p4d-mig=a100-1g.5gb:56:96:1152:nvidia.com/mig-1g.5gb";

  expect(parseMachineTypes(text)).toEqual([
    { name: "g6e.12xlarge", pool: "l40s", gpus: 4, vcpus: 48, memoryGb: 384 },
    { name: "p4d-mig", pool: "a100-1g.5gb", gpus: 56, vcpus: 96, memoryGb: 1152, resource: "nvidia.com/mig-1g.5gb" },
  ]);
  expect(findTypesProblem(text)).toBeUndefined();
});

test("a type of a machine without GPUs has a gpu_type that says so", () => {
  const text = "c7i.24xlarge=cpu-large:0:96:192";

  expect(parseMachineTypes(text)).toMatchObject([{ name: "c7i.24xlarge", pool: "cpu-large", gpus: 0 }]);
  expect(findTypesProblem(text)).toBeUndefined();
});

test("an empty list of types is allowed", () => {
  expect(parseMachineTypes(" , ")).toEqual([]);
  expect(findTypesProblem(" , ")).toBeUndefined();
});

test.each([
  ["g6e.12xlarge", "g6e.12xlarge is none"],
  ["g6e.12xlarge=l40s:4:48", "g6e.12xlarge=l40s:4:48 is none"],
  ["G6E=l40s:4:48:384", "G6E=l40s:4:48:384 is none"],
  ["g6e=l40s:4:48:384:neuron", "g6e=l40s:4:48:384:neuron is none"],
  ["p5.48xlarge=h100-again:8:192:2048", "p5.48xlarge is a type already"],
  ["m7i.8xlarge=cpu-again:0:32:128", "m7i.8xlarge is a type already"],
  ["g6e.12xlarge=l40s:4:48:384,g6e.12xlarge=l40s-b:4:48:384", "g6e.12xlarge is a type already"],
  ["p5en.48xlarge=h200:8:192:2048", "h200 is the gpu_type of p5e.48xlarge already"],
  ["big=x:65:999:999", "big has more than 64 GPUs"],
  ["thin=x:8:8:2048", "thin has less than a processor and 1 GB for each GPU, after a tenth for the machine itself"],
  ["thin=x:8:64:8", "thin has less than a processor and 1 GB for each GPU, after a tenth for the machine itself"],
  ["c=large:0:96:192", "the gpu_type of c must begin with cpu-"],
  ["c=cpu:0:96:192", "the gpu_type of c must begin with cpu-"],
  ["c=cpu-large:4:96:192", "the gpu_type of c must not begin with cpu"],
  ["c=cpu-large:0:96:192:nvidia.com/gpu", "c has no GPUs, so no resource counts them"],
])("%s is refused: %s", (text, problem) => {
  expect(findTypesProblem(`good=x9:1:4:16,${text}`)).toBe(
    `must be types like p5en.48xlarge=h200-p5en:8:192:2048, separated by commas: ${problem}`,
  );
});

test("more than 20 types are refused", () => {
  const text = (count: number) => Array.from({ length: count }, (_, n) => `t${n}=g${n}:1:4:16`).join();

  expect(findTypesProblem(text(20))).toBeUndefined();
  expect(findTypesProblem(text(21))).toBe("must be at most 20 types");
});

test("the environment's types stand beside those of the table", () => {
  const type = findInstanceType("trn1.32xlarge");

  expect(type).toMatchObject({ pool: "trainium", gpus: 16 });
  expect(type && countOptions(type)).toEqual([1, 2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128]);
  expect(type && gpuResource(type)).toBe("aws.amazon.com/neuron");
  expect(instanceTypes.at(0)?.name).toBe("g4dn.12xlarge");
});
