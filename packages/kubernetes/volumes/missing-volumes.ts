import { isForGood } from "../client/api-error.ts";
import { describeMessage } from "../client/describe-message.ts";
import { holds, listClaimNames, type Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { parseTime } from "../status/end-reason.ts";
import { eventListing, type KubeEvent } from "../status/events.ts";
import { toMachineStatus } from "../status/machine-status.ts";
import { type Claim, claimPath } from "./claim.ts";

/** Time in which most volumes are created. */
const youngMs = 5_000;
/** Age of a current event: a provisioner retries within five minutes (external-provisioner, `--retry-interval-max`). */
const currentMs = 600_000;

interface ClaimEvent {
  readonly claim: string;
  readonly uid: string;
  readonly at: number | null;
  readonly words: string;
  readonly hasFailed: boolean;
}

/** Returns why an unscheduled pod waits for a volume, from events of its claim, or null. Ignores bound claims. */
export function missingVolumes(
  place: ClusterContext,
  now: () => number,
): (pods: readonly Pod[]) => Promise<string | null> {
  const selector = "involvedObject.kind=PersistentVolumeClaim,reason!=WaitForFirstConsumer";
  const list = eventListing(place, now, { selector, keptMs: 3_000, keep: listClaimEvents });
  const findWords = async (pod: Pod): Promise<string | null> => {
    const names = listClaimNames(pod);
    const isFor = ({ claim, at }: ClaimEvent) => names.includes(claim) && (at === null || now() - at < currentMs);
    const events = (await list()).filter(isFor).toSorted((a, b) => (a.at ?? 0) - (b.at ?? 0));
    const named = [...new Set(events.map(({ claim }) => claim))];
    const unbound = await Promise.all(named.map((name) => findUnbound(place, name)));
    const ownEvents = events.filter(({ uid }) => unbound.some((claim) => claim?.metadata.uid === uid));
    const failure = ownEvents.findLast(({ hasFailed }) => hasFailed);
    // A failed volume keeps the pod from every node, so it comes before the scheduler's reason.
    return failure?.words ?? (toMachineStatus(pod).reason === null ? (ownEvents.at(-1)?.words ?? null) : null);
  };
  return async (pods) => {
    const waiting = pods.filter((pod) => mayWait(pod, now()));
    const words = await Promise.all(waiting.map(findWords));
    return words.find((word) => word !== null) ?? null;
  };
}

/** Age of a current event: cluster and kubelet retry within two minutes (k8s.io/kubernetes, exponentialbackoff). */
const retriedMs = 300_000;

/** Returns why a pod on a node waits for its volume, from events of the pod, or null. Its status does not say it. */
export function unmountedVolumes(
  place: ClusterContext,
  now: () => number,
): (pods: readonly Pod[]) => Promise<string | null> {
  const selector = "involvedObject.kind=Pod,type=Warning";
  const list = eventListing(place, now, { selector, keptMs: 3_000, keep: listMountEvents });
  return async (pods) => {
    const uids = pods.filter((pod) => mayMount(pod, now())).map(({ metadata }) => metadata.uid);
    if (uids.length === 0) return null;
    const isFor = ({ uid, at }: MountEvent) => uids.includes(uid) && now() - at < retriedMs;
    const events = (await list()).filter(isFor).toSorted((a, b) => a.at - b.at);
    return events.at(-1)?.words ?? null;
  };
}

interface MountEvent {
  readonly uid: string;
  readonly at: number;
  readonly words: string;
}

const mountFailures: Readonly<Record<string, string>> = { FailedAttachVolume: "attached", FailedMount: "mounted" };

function listMountEvents({ involvedObject: { uid }, reason = "", message = "", lastTimestamp }: KubeEvent) {
  const verb = mountFailures[reason];
  const at = parseTime(lastTimestamp ?? undefined);
  if (uid === undefined || verb === undefined || at === null) return [];
  const why = whyNotMade(message.replace(/^\w+Volume\.\w+ failed for volume "[^"]*" : /, ""));
  return [{ uid, at, words: `Its volume could not be ${verb} yet: ${why}` }];
}

/** Reports whether a pod may wait for its node to mount a volume: until `PodReadyToStartContainers`. */
function mayMount(pod: Pod, now: number): boolean {
  const { state, reason, deleted } = toMachineStatus(pod);
  if (state !== "image" || reason !== null || deleted || listClaimNames(pod).length === 0) return false;
  return !holds(pod, "PodReadyToStartContainers") && isOld(pod, now);
}

function isOld({ metadata }: Pod, now: number): boolean {
  return now - (parseTime(metadata.creationTimestamp) ?? 0) >= youngMs;
}

function mayWait(pod: Pod, now: number): boolean {
  const { state, reason, deleted } = toMachineStatus(pod);
  if (state !== "unbound" || deleted || listClaimNames(pod).length === 0) return false;
  return reason !== null || isOld(pod, now);
}

/** Returns undefined also without the right to read claims: a run that cannot be observed never ends. */
async function findUnbound(place: ClusterContext, name: string): Promise<Claim | undefined> {
  try {
    const claim = await place.client.find<Claim>(claimPath(place, { name }));
    return claim?.spec.volumeName ? undefined : claim;
  } catch (error) {
    if (isForGood(error)) return undefined;
    throw error;
  }
}

/** Returns the message of an event. Omits `WaitForPodScheduled`, since the pod tells more. */
function listClaimEvents({
  involvedObject: { name, uid },
  reason,
  message = "",
  lastTimestamp,
}: KubeEvent): ClaimEvent[] {
  if (name === undefined || uid === undefined) return [];
  const event = { claim: name, uid, at: parseTime(lastTimestamp) };
  if (reason === "ProvisioningFailed" || reason === "FailedBinding") {
    return [{ ...event, words: `Its volume could not be created: ${whyNotMade(message)}`, hasFailed: true }];
  }
  if (reason !== "ExternalProvisioning") return [];
  const [, provisioner = "of its storage class"] = /external provisioner '([^']+)'/.exec(message) ?? [];
  return [{ ...event, words: `Its volume is not made yet by the provisioner ${provisioner}`, hasFailed: false }];
}

/** Removes unreadable parts, and those that differ at each attempt, so that a retry is not a new message. */
function whyNotMade(message: string): string {
  return describeMessage(
    message
      .replace(/rpc error: code = \w+ desc = /, "")
      .replaceAll(/,? ?Request ?ID: [\w-]+/gi, "")
      .replace(/\.? *Encoded authorization failure message:.*/s, ""),
  );
}
