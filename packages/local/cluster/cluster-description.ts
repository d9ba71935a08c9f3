import { findInstanceType } from "#core/fleet.ts";
import type { ComputeNode } from "#core/ports/compute.ts";
import type { ClusterDescription } from "../environments.ts";

export interface SeenCluster {
  readonly known: readonly ComputeNode[];
  readonly nodeCount: number;
  readonly storageClass: StorageClass | undefined;
  readonly snapshotClass: string | undefined;
  readonly toolsImage: string | undefined;
  /** Directions that the cluster's network does not isolate (cluster-network.ts). */
  readonly network: readonly string[];
}

export interface StorageClass {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly provisioner: string;
  readonly volumeBindingMode?: string;
}

const defaultClass = "storageclass.kubernetes.io/is-default-class";

export function findDefaultClass(classes: readonly StorageClass[]): StorageClass | undefined {
  return classes.find(({ metadata }) => metadata.annotations?.[defaultClass] === "true");
}

export function describeCluster(seen: SeenCluster): Omit<ClusterDescription, "name"> {
  const { known: knownNodes, nodeCount } = seen;
  const counts = [...Map.groupBy(knownNodes, ({ instanceType }) => instanceType)];
  const lacks = [
    describeGpus(knownNodes),
    ...describeNodes(knownNodes),
    typeWords(nodeCount - knownNodes.length),
    ...describeDisks(seen),
    ...seen.network,
    toolsWords(seen),
  ];
  return {
    nodes: counts.map(([type, nodes]) => `${type}=${nodes.length}`).join(",") || "none",
    lacks: [...lacks.flatMap((words) => words ?? []), ...always],
  };
}

const always = ["zips of sessions: not there yet"];

function toolsWords({ toolsImage }: SeenCluster): string | undefined {
  if (toolsImage) return undefined;
  return "Jupyter, ssh -R and -A, and commands in images without a shell: set TOOLS_IMAGE (docs/operate.md)";
}

function describeGpus(knownNodes: readonly ComputeNode[]): string | undefined {
  const made = knownNodes.filter(({ instanceType }) => (findInstanceType(instanceType)?.gpus ?? 0) > 0);
  if (made.length === 0) return "GPUs: no node has any";
  const silent = made.filter(({ units }) => units === 0);
  if (silent.length === 0) return undefined;
  const verb = silent.length === 1 ? "offers" : "offer";
  return `GPUs: ${formatNames(silent)} ${verb} none: see whether the device plugin runs there, and how many processors and how much memory there are`;
}

function describeNodes(knownNodes: readonly ComputeNode[]): string[] {
  const closed = knownNodes.filter(({ ready }) => !ready);
  if (closed.length === 0) return [];
  return [
    `nodes that are not used now: ${formatNames(closed)} ${isOrAre(closed)} not ready, cordoned or kept for others`,
  ];
}

function typeWords(others: number): string | undefined {
  if (others <= 0) return undefined;
  return `nodes that are not used: ${others} ${others > 1 ? "have" : "has"} no type of docs/apis/gpu-dev.md: set NODE_TYPES`;
}

function describeDisks({ known: knownNodes, storageClass, snapshotClass }: SeenCluster): string[] {
  if (!storageClass) {
    return ["disks: the cluster has no default storage class; jobs with a disk wait until it has one"];
  }
  const { metadata, provisioner, volumeBindingMode } = storageClass;
  const zones = new Set(knownNodes.map(({ zone }) => zone));
  const anyZone = `disks: class ${metadata.name} makes them in any zone; a job may not reach its own: use one with WaitForFirstConsumer`;
  return [
    ...(volumeBindingMode !== "WaitForFirstConsumer" && zones.size > 1 ? [anyZone] : []),
    ...(snapshotClass === undefined
      ? [`backups: no VolumeSnapshotClass is for ${provisioner}; a disk keeps its volume, which is its only copy`]
      : []),
  ];
}

function isOrAre(nodes: readonly unknown[]): string {
  return nodes.length > 1 ? "are" : "is";
}

const mostNamed = 5;

function formatNames(nodes: readonly ComputeNode[]): string {
  const names = nodes.slice(0, mostNamed).map(({ name }) => name);
  return `${names.join(", ")}${nodes.length > mostNamed ? ` and ${nodes.length - mostNamed} more` : ""}`;
}
