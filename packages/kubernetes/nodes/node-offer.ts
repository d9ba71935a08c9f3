import { gpuResource, type InstanceType } from "#core/fleet.ts";
import type { ComputeNode, Unready } from "#core/ports/compute.ts";
import { holds, type Node, type Quantities } from "../objects.ts";
import { markOfNode } from "../runs/bound-nodes.ts";
import { findInterruption } from "./interruption-taints.ts";
import { countUnits } from "./machine-share.ts";
import { groupLabel, type NodeTypeRule, typeOfNode, zoneOfNode } from "./node-type.ts";
import { isKeptForOthers, type Toleration } from "./tolerations.ts";

/** Decides which nodes are for runs, and what they offer. */
export interface OfferOptions {
  readonly nodeTypes?: readonly NodeTypeRule[] | undefined;
  readonly tolerations?: readonly Toleration[] | undefined;
  /** Labels of the nodes for runs. Other nodes are not listed. */
  readonly nodeSelector?: Readonly<Record<string, string>> | undefined;
}

/** Parts of a node that are needed. The rest, mostly its image list, takes tens of kB. */
export interface Offer {
  readonly type: InstanceType;
  readonly node: Omit<ComputeNode, "foreignUnits" | "runs">;
  readonly allocatable: Quantities;
  readonly mark: string;
}

/** Returns null if Berth does not know the node's type, or runs may not use the node. */
export function findOffer(node: Node, { nodeTypes = [], tolerations, nodeSelector = {} }: OfferOptions): Offer | null {
  const type = typeOfNode(node, nodeTypes);
  const { labels } = node.metadata;
  if (!type || Object.entries(nodeSelector).some(([name, value]) => labels?.[name] !== value)) return null;
  const allocatable = node.status?.allocatable ?? {};
  const offered = {
    name: node.metadata.name,
    uid: node.metadata.uid,
    providerId: node.spec.providerID ?? null,
    instanceType: type.name,
    zone: zoneOfNode(node),
    group: node.metadata.labels?.[groupLabel],
    ...getReadiness(node, tolerations),
    interruption: findInterruption([node]),
    units: countUnits(allocatable, type),
  };
  return { type, node: offered, allocatable, mark: markOfNode(node) };
}

/**
 * Returns a text that changes with everything that a listing shows of a node itself, and with no heartbeat. Returns
 * undefined if listings omit the node.
 */
export function markOffer(node: Node, options: OfferOptions): string | undefined {
  const offer = findOffer(node, options);
  if (!offer) return undefined;
  const { cpu, memory, [gpuResource(offer.type)]: gpus } = offer.allocatable;
  return JSON.stringify([offer.node, cpu, memory, gpus]);
}

type Readiness = Pick<ComputeNode, "ready" | "unready" | "fault">;

function getReadiness(node: Node, tolerations?: readonly Toleration[]): Readiness {
  const fault = findFault(node);
  const unready = whyUnready(node, fault, tolerations);
  return unready ? { ready: false, unready, ...(fault !== undefined && { fault }) } : { ready: true };
}

/**
 * Conditions of EKS's node monitoring agent (EKS User Guide, "Detect node health issues"). The node stays Ready while
 * one is False, for example after an error of a GPU.
 */
const MONITORED = [
  "AcceleratedHardwareReady",
  "ContainerRuntimeReady",
  "KernelReady",
  "NetworkingReady",
  "StorageReady",
];

const LONGEST_FAULT = 200;

/**
 * Returns the reported fault without its message, which changes while the fault lasts. The machine writes the reason,
 * and Kubernetes limits neither its length nor its characters, so it is cut here before it is stored.
 */
function findFault(node: Node): string | undefined {
  const failed = node.status?.conditions?.find(({ type, status }) => MONITORED.includes(type) && status === "False");
  if (!failed) return undefined;
  const fault = `${failed.type} is False${failed.reason ? `: ${failed.reason}` : ""}`;
  return fault.replace(/[^ -~]/g, "?").slice(0, LONGEST_FAULT);
}

/** Checks taints last, because the cluster taints unready and cordoned nodes itself. */
function whyUnready(node: Node, fault?: string, tolerations?: readonly Toleration[]): Unready | undefined {
  if (!holds(node, "Ready") || fault !== undefined) return "notReady";
  if (node.spec.unschedulable === true) return "cordoned";
  return isKeptForOthers(node, tolerations) ? "tainted" : undefined;
}
