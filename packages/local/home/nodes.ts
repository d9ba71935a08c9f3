import { findInstanceType, instanceTypes, sharedType } from "#core/fleet.ts";
import type { PretendNode } from "#process/runs/pretend-node.ts";

// The size limit of a pool's ledger.
const maxNodes = 1_000;

export function parseNodes(text: string): PretendNode[] {
  const parts = text.split(",").map((part) => part.trim());
  const nodes = parts.filter(Boolean).map(nodesOfPart);
  const types = nodes.flatMap(([first]) => first?.instanceType ?? []);
  const again = types.find((type, n) => types.indexOf(type) < n);
  if (again) throw badNodes(`name each type once, but ${again} is named again`);
  return nodes.flat();
}

function nodesOfPart(part: string): PretendNode[] {
  const [, instanceType = "", digits = ""] = /^([a-z0-9.-]+)=(\d{1,4})$/.exec(part) ?? [];
  const count = Number(digits);
  if (!instanceType) throw badNodes(`be like p5.48xlarge=2,c7i.8xlarge=1, and ${part} is not`);
  if (!findInstanceType(instanceType)) {
    throw badNodes(`be of known types, and ${instanceType} is none: ${knownTypes.join(", ")}`);
  }
  if (count > maxNodes) throw badNodes(`be at most ${maxNodes} of a type`);
  return Array.from({ length: count }, (_, n) => ({
    name: `${instanceType.replace(".", "-")}-${n + 1}`,
    instanceType,
    zone: "local-a",
    ready: true,
  }));
}

const knownTypes: readonly string[] = [...instanceTypes, sharedType].map(({ name }) => name);

function badNodes(rule: string): Error {
  return new Error(`Bad settings:\n  LOCAL_NODES must ${rule}`);
}
