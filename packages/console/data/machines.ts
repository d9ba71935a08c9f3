import type { Availability } from "../../sdk/berth.ts";
import { counted } from "./words.ts";

/** The table of docs/apis/gpu-dev.md#instance-types: the machine of each type. A deployment may have more. */
export const machines: Readonly<Record<string, string>> = {
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

type Type = Availability["availability"][string];

/** Says what machines a type lacks or may still get. Returns "" if its numbers say it all. */
export function describeGrowth(name: string, type: Type | undefined): string {
  if (!type) return "no machine, and none can be made";
  const { total, scalable, max_per_node } = type;
  if (scalable === 0) return hasGpus(name) && total === 0 ? "no machine now, and none can be made" : "";
  const hasNone = hasGpus(name) && total <= scalable * max_per_node;
  return hasNone ? `no machine yet: ${scalable} can be made` : `${counted(scalable, "more machine")} can be made`;
}

export function hasGpus(type: string): boolean {
  return !type.startsWith("cpu-");
}
