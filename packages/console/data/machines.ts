import type { SubmitJob } from "../../sdk/jobs.ts";

/** The table of docs/apis/gpu-dev.md#instance-types: the machine of each type. */
export const machines: Readonly<Record<string, SubmitJob["instance_type"]>> = {
  t4: "g4dn.12xlarge",
  "t4-small": "g4dn.2xlarge",
  l4: "g6.12xlarge",
  a10g: "g5.12xlarge",
  a100: "p4d.24xlarge",
  h100: "p5.48xlarge",
  h200: "p5e.48xlarge",
  b200: "p6-b200.48xlarge",
  "cpu-x86": "c7i.8xlarge",
  "cpu-arm": "c7g.8xlarge",
};

export function hasGpus(type: string): boolean {
  return !type.startsWith("cpu-");
}
