import type { SubmitJob } from "../sdk/jobs.ts";
import { CliError, exitCodes } from "./failure.ts";
import { printable } from "./text.ts";

interface Machine {
  readonly instanceType: SubmitJob["instance_type"];
  /** 0 for machines without GPUs. */
  readonly gpuCount: number;
}

/** The table of docs/apis/gpu-dev.md#instance-types. */
const machines: Readonly<Record<string, Machine>> = {
  t4: { instanceType: "g4dn.12xlarge", gpuCount: 4 },
  "t4-small": { instanceType: "g4dn.2xlarge", gpuCount: 1 },
  l4: { instanceType: "g6.12xlarge", gpuCount: 4 },
  a10g: { instanceType: "g5.12xlarge", gpuCount: 4 },
  a100: { instanceType: "p4d.24xlarge", gpuCount: 8 },
  h100: { instanceType: "p5.48xlarge", gpuCount: 8 },
  h200: { instanceType: "p5e.48xlarge", gpuCount: 8 },
  b200: { instanceType: "p6-b200.48xlarge", gpuCount: 8 },
  "cpu-x86": { instanceType: "c7i.8xlarge", gpuCount: 0 },
  "cpu-arm": { instanceType: "c7g.8xlarge", gpuCount: 0 },
};

/** Returns the machine of a type. `cpu` is an x86 machine without GPUs. */
export function machineOfType(type: string): Machine {
  const name = type.toLowerCase() === "cpu" ? "cpu-x86" : type.toLowerCase();
  const machine = Object.hasOwn(machines, name) ? machines[name] : undefined;
  if (machine) return machine;
  const known = Object.keys(machines).join(", ");
  throw new CliError(`There is no type '${printable(type)}'`, exitCodes.usage, `Types are ${known}`);
}
