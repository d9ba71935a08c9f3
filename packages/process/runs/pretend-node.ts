import { createHash } from "node:crypto";
import { findInstanceType, unitsPerNode } from "#core/fleet.ts";
import type { ComputeNode, NodeRef } from "#core/ports/compute.ts";

/** A node of the local stack: a part of this very machine that is counted as one of its own. */
export interface PretendNode {
  readonly name: string;
  readonly instanceType: string;
  readonly zone: string;
  readonly ready: boolean;
}

/** The node as the port shows it. */
export function computeNode(home: string, node: PretendNode): ComputeNode {
  const type = findInstanceType(node.instanceType);
  return { ...node, ...nodeRef(home, node.name), units: type ? unitsPerNode(type) : 0, foreignUnits: 0 };
}

/** The same for a home at every start, so that a run which outlives the stack is still on its node. */
export function nodeRef(home: string, name: string): NodeRef {
  const uid = createHash("sha256").update(`${home}\0${name}`).digest("hex").slice(0, 32);
  return { name, uid, providerId: null };
}
