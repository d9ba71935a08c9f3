import type { Availability, Berth } from "../../sdk/berth.ts";
import type { SubmitJob } from "../../sdk/jobs.ts";
import { CliError, exitCodes } from "../failure.ts";
import { nearestWord } from "../terminal/nearest-word.ts";
import { printable } from "../terminal/text.ts";

interface Machine {
  readonly instanceType: SubmitJob["instance_type"];
  /** 0 for machines without GPUs. */
  readonly gpuCount: number;
}

/** The table of docs/apis/gpu-dev.md#instance-types: the types of every deployment. */
export const machines = {
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
} satisfies Record<string, Machine>;

const machineNames = Object.keys(machines) as (keyof typeof machines)[];

/** The types that people name. `cpu` is an x86 machine without GPUs. */
export const machineTypes = [...machineNames, "cpu"] as const;

/** Returns the machine of a type, which may be one that only this deployment has. */
export async function findMachine(berth: Berth, type: string, signal?: AbortSignal): Promise<Machine> {
  const wanted = type.toLowerCase() === "cpu" ? "cpu-x86" : type.toLowerCase();
  const usual = machineNames.find((name) => name === wanted);
  if (usual !== undefined) return machines[usual];
  const { availability } = await berth.availability({ signal });
  const own = ownTypes(availability).find(([name]) => name === wanted);
  if (own) return { instanceType: own[1].instance_type, gpuCount: own[1].max_per_node };
  const types = [...machineTypes, ...ownTypes(availability).map(([name]) => printable(name))];
  const nearest = nearestWord(type, types);
  const words = nearest === undefined ? "" : `. Did you mean ${nearest}?`;
  throw new CliError(`There is no type '${printable(type)}'${words}`, exitCodes.usage, `Types are ${types.join(", ")}`);
}

/** Returns the types that only this deployment has. */
export function ownTypes(availability: Availability["availability"]) {
  // Servers before this version did not name machines.
  return Object.entries(availability).filter(
    ([name, { instance_type }]) => instance_type !== undefined && !Object.hasOwn(machines, name),
  );
}
