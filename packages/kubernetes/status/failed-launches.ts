import type { Lack } from "#core/ports/machine-groups.ts";
import { describeMessage } from "../client/describe-message.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { parseTime } from "./end-reason.ts";
import { eventListing, type KubeEvent } from "./events.ts";

/** The end of a NodeClaim that Karpenter could not launch. */
export interface FailedLaunch {
  readonly claim: string;
  readonly at: number;
  /** The kind of shortage at AWS. Absent if the message does not name it. */
  readonly lacks?: Lack | undefined;
  /** The zones that the message names. It is cut after 300 characters. */
  readonly zones: readonly string[];
  readonly words: string;
}

/**
 * Returns why Karpenter could not launch a NodeClaim, or undefined. Karpenter deletes such a NodeClaim and reports it
 * only in an event (kubernetes-sigs/karpenter, pkg/controllers/nodeclaim/lifecycle/launch.go). Reading the events of
 * `default` needs a right of its own (deploy/kubernetes/karpenter). Without it, the answer is undefined.
 */
export function failedLaunches(
  place: ClusterContext,
  now: () => number,
): (claim: string) => Promise<FailedLaunch | undefined> {
  const selector = "involvedObject.kind=NodeClaim,reason=InsufficientCapacityError";
  const list = eventListing(place, now, {
    path: place.paths.clusterEvents,
    selector,
    keptMs: 10_000,
    keep: failedLaunchIn,
  });
  return async (claim) => (await list()).find((launch) => launch.claim === claim);
}

function failedLaunchIn({ involvedObject, message = "", lastTimestamp }: KubeEvent): FailedLaunch[] {
  const { name } = involvedObject;
  if (name === undefined) return [];
  const [, lacks] = lacksByCode.find(([code]) => message.includes(`${code}: `)) ?? [];
  const matches = message.matchAll(/the Availability Zone you requested \(([a-z0-9-]+)\)/g);
  const zones = new Set([...matches].map(([, zone = ""]) => zone));
  const words = describeMessage(message.replace(/^.*?insufficient capacity, (with fleet error\(s\), )?/, ""));
  return [{ claim: name, at: parseTime(lastTimestamp) ?? 0, lacks, zones: [...zones].sort(), words }];
}

/**
 * Error codes of EC2 that Karpenter treats as a lack of capacity (aws/karpenter-provider-aws, pkg/errors/errors.go). A
 * message may have several, one for each zone. A quota comes first, because only the operator can raise it.
 * `Unsupported` is left out: such a zone never has the type.
 */
const lacksByCode: readonly (readonly [code: string, lacks: Lack])[] = [
  ["VcpuLimitExceeded", "quota"],
  ["MaxSpotInstanceCountExceeded", "quota"],
  ["InsufficientFreeAddressesInSubnet", "addresses"],
  ["InsufficientInstanceCapacity", "machines"],
  ["UnfulfillableCapacity", "machines"],
  ["ReservationCapacityExceeded", "machines"],
];
