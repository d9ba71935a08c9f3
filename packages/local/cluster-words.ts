import type { ComputeNode } from "#core/context.ts";
import { findInstanceType } from "#core/fleet.ts";
import type { ClusterWords } from "./environments.ts";

export interface SeenCluster {
  /** Those with a type of Berth. */
  readonly known: readonly ComputeNode[];
  /** Of all nodes. */
  readonly nodeCount: number;
  readonly storageClasses: readonly StorageClass[];
}

export interface StorageClass {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
}

/** What of a cluster a person has to know at the start, and what to do about what is missing. */
export function clusterWords({ known, nodeCount, storageClasses }: SeenCluster): Omit<ClusterWords, "name"> {
  const counts = [...Map.groupBy(known, ({ instanceType }) => instanceType)];
  const lacks = [gpuWords(known), ...nodeWords(known), typeWords(nodeCount - known.length), diskWords(storageClasses)];
  return {
    nodes: counts.map(([type, nodes]) => `${type}=${nodes.length}`).join(",") || "none",
    lacks: [...lacks.flatMap((words) => words ?? []), ...always],
  };
}

const always = [
  "SSH, the web shell, Jupyter and pages of environments: not there yet",
  "backups and zips of disks: none; a disk keeps its volume, which is its only copy",
];

function gpuWords(known: readonly ComputeNode[]): string | undefined {
  const made = known.filter(({ instanceType }) => (findInstanceType(instanceType)?.gpus ?? 0) > 0);
  if (made.length === 0) return "GPUs: no node has any";
  const silent = made.filter(({ units }) => units === 0);
  if (silent.length === 0) return undefined;
  const verb = silent.length === 1 ? "offers" : "offer";
  return `GPUs: ${namesOf(silent)} ${verb} none: see whether the device plugin runs there`;
}

/** The plan knows no machine without a zone: disks do not leave theirs. */
function nodeWords(known: readonly ComputeNode[]): string[] {
  const zoneless = known.filter(({ zone }) => zone === "");
  const closed = known.filter(({ ready }) => !ready);
  const label = "kubectl label node <name> topology.kubernetes.io/zone=<zone>";
  return [
    ...(zoneless.length > 0
      ? [`nodes that are not used: ${namesOf(zoneless)} ${zoneless.length > 1 ? "have" : "has"} no zone: ${label}`]
      : []),
    ...(closed.length > 0
      ? [`nodes that are not used now: ${namesOf(closed)} ${isOrAre(closed)} not ready, cordoned or kept for others`]
      : []),
  ];
}

function typeWords(others: number): string | undefined {
  if (others <= 0) return undefined;
  const label = "kubectl label --overwrite node <name> node.kubernetes.io/instance-type=<type>";
  return `nodes that are not used: ${others} ${others > 1 ? "have" : "has"} no type of docs/apis/gpu-dev.md: ${label}`;
}

function diskWords(classes: readonly StorageClass[]): string | undefined {
  const hasDefault = classes.some(({ metadata }) => metadata.annotations?.[defaultClass] === "true");
  if (hasDefault) return undefined;
  return "disks: the cluster has no default storage class; what asks for a disk waits until it has one";
}

const defaultClass = "storageclass.kubernetes.io/is-default-class";

function isOrAre(nodes: readonly unknown[]): string {
  return nodes.length > 1 ? "are" : "is";
}

const mostNamed = 5;

function namesOf(nodes: readonly ComputeNode[]): string {
  const names = nodes.slice(0, mostNamed).map(({ name }) => name);
  return `${names.join(", ")}${nodes.length > mostNamed ? ` and ${nodes.length - mostNamed} more` : ""}`;
}
