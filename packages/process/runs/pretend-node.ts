import { createHash } from "node:crypto";
import { findInstanceType, unitsPerNode } from "#core/fleet.ts";
import type { ComputeNode, NodeRef } from "#core/ports/compute.ts";

/** Part of this machine that counts as a node. */
export interface PretendNode {
  readonly name: string;
  readonly instanceType: string;
  readonly zone: string;
  readonly ready: boolean;
}

export function computeNode(home: string, node: PretendNode): ComputeNode {
  const type = findInstanceType(node.instanceType);
  return { ...node, ...nodeRef(home, node.name), units: type ? unitsPerNode(type) : 0, foreignUnits: 0 };
}

/** Returns the same id after each start, so that a surviving run stays on its node. */
export function nodeRef(home: string, name: string): NodeRef {
  const uid = createHash("sha256").update(`${home}\0${name}`).digest("hex").slice(0, 32);
  return { name, uid, providerId: null };
}
