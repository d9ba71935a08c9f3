import type { BoundRun, ComputeNode } from "#core/ports/compute.ts";
import { isTooLong } from "../client/api-error.ts";
import { type Requests, sumRequests } from "../client/quantities.ts";
import { findRun, label } from "../names.ts";
import type { Node, Pod } from "../objects.ts";
import { markOfPod } from "../runs/bound-nodes.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { foreignUnits, unitsTaken } from "./machine-share.ts";
import { findOffer, type Offer, type OfferOptions } from "./node-offer.ts";
import { type NodeSlices, nodeSlices } from "./node-slices.ts";
import { readNodes } from "./read-nodes.ts";

export interface ListingOptions extends OfferOptions {
  /** Receives the name of each pod that is too large to read. Such a pod counts as nothing, so it blocks no run. */
  readonly leaveOut?: (name: string) => void;
  readonly slices?: NodeSlices;
  readonly mostNodesAtOnce?: number;
  /** Aborts when no further node is to be listed. Default: after `LIST_PODS_MS`. */
  readonly enough?: AbortSignal;
}

/** Limit for one list of all pods. Larger clusters are listed by node, which the API server answers from an index. */
const MOST_NODES_AT_ONCE = 1_000;
/** A listing takes at most this and one more deadline. The capacity refresh drops listings that took over 40 s. */
const LIST_PODS_MS = 25_000;

export async function listNodes(place: ClusterContext, options: ListingOptions = {}): Promise<ComputeNode[]> {
  const { mostNodesAtOnce = MOST_NODES_AT_ONCE, enough = AbortSignal.timeout(LIST_PODS_MS) } = options;
  const nodes = await place.client.list<Node, Offer | null>("/api/v1/nodes", (node) => [findOffer(node, options)]);
  const offers = nodes.items.flatMap((offer) => offer ?? []);
  if (nodes.items.length > mostNodesAtOnce)
    return listSliced(place, offers, nodes.resourceVersion, { ...options, enough });
  const { items } = await listTaken(place, unfinished, options);
  const byNode = Map.groupBy(items, ({ node }) => node);
  return offers.map((offer) => computeNode(offer, byNode.get(offer.node.name) ?? []));
}

/** Lists only the nodes with these names. The request names no version, so the API server answers with its current state. */
export async function listNamedNodes(
  place: ClusterContext,
  names: ReadonlySet<string>,
  options: ListingOptions = {},
): Promise<ComputeNode[]> {
  const nodes = await readNodes(place.client, [...names]);
  const offers = nodes.flatMap((node) => findOffer(node, options) ?? []);
  const readNode = async (offer: Offer) =>
    computeNode(offer, await readTaken(place, offer.node.name, undefined, options));
  return Promise.all(offers.map(readNode));
}

async function listSliced(
  place: ClusterContext,
  offers: readonly Offer[],
  resourceVersion: string,
  options: ListingOptions & { readonly enough: AbortSignal },
): Promise<ComputeNode[]> {
  const { slices = nodeSlices(), enough } = options;
  const byName = new Map(offers.map((offer) => [offer.node.name, offer]));
  const readNode = async (name: string) => {
    const offer = byName.get(name);
    return offer && computeNode(offer, await readTaken(place, name, resourceVersion, options));
  };
  const nodes = await slices.read([...byName.keys()], readNode, enough);
  return offers.map(({ node }) => nodes.get(node.name) ?? { ...node, foreignUnits: node.units, unread: true as const });
}

/**
 * Reads the pods of one node, at least as new as this version, or those of this moment. Without a limit the API server
 * answers from its cache, by the index of `spec.nodeName`; with one, versions up to 1.32 read all pods from etcd.
 */
async function readTaken(
  place: ClusterContext,
  node: string,
  resourceVersion: string | undefined,
  options: ListingOptions,
): Promise<readonly Taken[]> {
  const selector = `spec.nodeName=${node},${notEnded}`;
  const query = new URLSearchParams({
    fieldSelector: selector,
    ...(resourceVersion !== undefined && { resourceVersion, resourceVersionMatch: "NotOlderThan" }),
  });
  try {
    const { items } = await place.client.get<{ readonly items: readonly Pod[] | null }>(`/api/v1/pods?${query}`);
    return (items ?? []).flatMap((pod) => takenBy(pod, place));
  } catch (error) {
    if (!isTooLong(error)) throw error;
    return (await listTaken(place, selector, options)).items;
  }
}

async function listTaken(place: ClusterContext, selector: string, { leaveOut = () => undefined }: ListingOptions) {
  const path = `/api/v1/pods?fieldSelector=${encodeURIComponent(selector)}`;
  return place.client.list<Pod, Taken>(path, (pod) => takenBy(pod, place), { leaveOut, merge: mergeForeign });
}

const notEnded = "status.phase!=Succeeded,status.phase!=Failed";
/** Field selector of the pods that take resources of a node. */
export const unfinished = `spec.nodeName!=,${notEnded}`;

/** Resources of one pod of a run, or the sum of all foreign pods on a node. */
interface Taken extends Requests {
  readonly node: string;
  /** undefined for foreign pods, including those of another deployment or namespace. */
  readonly run: Pick<BoundRun, "uid" | "run" | "mark"> | undefined;
}

/** Checks the namespace as well: users with rights in another one can set any labels there. */
function takenBy(pod: Pod, { deployment, paths }: ClusterContext): Taken[] {
  const requests = sumRequests(pod);
  const node = pod.spec.nodeName;
  const { namespace, labels } = pod.metadata;
  const isOurs = namespace === paths.namespace && labels?.[label.deployment] === deployment;
  const ref = isOurs ? findRun(pod, "Pod") : undefined;
  const run = ref && { uid: ref.uid, run: ref.run, mark: markOfPod(pod) };
  return node === undefined ? [] : [{ node, run, ...requests }];
}

/** Keeps the pods of our runs, and one sum per node for all others. */
function mergeForeign(taken: readonly Taken[]): Taken[] {
  const sums = new Map<string, Taken>();
  for (const { run, node, gpus, cpus, memoryMb } of taken) {
    if (run) continue;
    const sum = sums.get(node) ?? { gpus: 0, cpus: 0, memoryMb: 0 };
    const merged = { gpus: sum.gpus + gpus, cpus: sum.cpus + cpus, memoryMb: sum.memoryMb + memoryMb };
    sums.set(node, { node, run, ...merged });
  }
  return [...taken.filter(({ run }) => run), ...sums.values()];
}

function computeNode({ type, node, allocatable, mark }: Offer, taken: readonly Taken[]): ComputeNode {
  const foreign = taken.filter(({ run }) => run === undefined);
  return {
    ...node,
    foreignUnits: foreignUnits(type, allocatable, foreign),
    runs: taken.flatMap(({ run, ...requests }) =>
      run ? [{ ...run, units: unitsTaken(type, requests), mark: `${run.mark} ${mark}` }] : [],
    ),
  };
}
