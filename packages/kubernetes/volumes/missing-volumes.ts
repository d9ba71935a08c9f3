import { isForGood } from "../client/api-error.ts";
import { describeMessage } from "../client/describe-message.ts";
import type { Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { parseTime } from "../status/end-reason.ts";
import { eventListing, type KubeEvent } from "../status/event-listing.ts";
import { toMachineStatus } from "../status/machine-status.ts";
import { type Claim, claimPath } from "./claim.ts";

/** Most volumes are made before. */
const youngMs = 5_000;
/** Whoever makes volumes tries again within five minutes (external-provisioner, `--retry-interval-max`). */
const currentMs = 600_000;

interface Said {
  /** The name and uid of the claim. */
  readonly claim: string;
  readonly of: string;
  readonly at: number | null;
  readonly words: string;
  /** Somebody tried to make the volume and could not. */
  readonly hasFailed: boolean;
}

/**
 * Why a pod that is on no node waits for a volume, which only events of its claim say; null: it waits for none, or nobody
 * says why. A volume that was made since then is waited for no more, whatever was said before.
 */
export function missingVolumes(
  place: ClusterContext,
  now: () => number,
): (pods: readonly Pod[]) => Promise<string | null> {
  const selector = "involvedObject.kind=PersistentVolumeClaim,reason!=WaitForFirstConsumer";
  const list = eventListing(place, now, { selector, keptMs: 3_000, keep: saidIn });
  const findWords = async (pod: Pod): Promise<string | null> => {
    const names = listClaimNames(pod);
    const isFor = ({ claim, at }: Said) => names.includes(claim) && (at === null || now() - at < currentMs);
    const said = (await list()).filter(isFor).toSorted((a, b) => (a.at ?? 0) - (b.at ?? 0));
    const named = [...new Set(said.map(({ claim }) => claim))];
    const unbound = await Promise.all(named.map((name) => findUnbound(place, name)));
    const ownEvents = said.filter(({ of }) => unbound.some((claim) => claim?.metadata.uid === of));
    const failure = ownEvents.findLast(({ hasFailed }) => hasFailed);
    // What keeps the pod from every node comes before what would be waited for on one.
    return failure?.words ?? (toMachineStatus(pod).reason === null ? (ownEvents.at(-1)?.words ?? null) : null);
  };
  return async (pods) => {
    const waiting = pods.filter((pod) => mayWait(pod, now()));
    const words = await Promise.all(waiting.map(findWords));
    return words.find((word) => word !== null) ?? null;
  };
}

function mayWait(pod: Pod, now: number): boolean {
  const { state, reason, deleted } = toMachineStatus(pod);
  if (state !== "unbound" || deleted || listClaimNames(pod).length === 0) return false;
  return reason !== null || now - (parseTime(pod.metadata.creationTimestamp) ?? 0) >= youngMs;
}

function listClaimNames({ spec }: Pod): string[] {
  return (spec.volumes ?? []).flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? []);
}

/** undefined also where claims may not be read: a run that nobody can look at is ended by nobody. */
async function findUnbound(place: ClusterContext, name: string): Promise<Claim | undefined> {
  try {
    const claim = await place.client.find<Claim>(claimPath(place, { name }));
    return claim?.spec.volumeName ? undefined : claim;
  } catch (error) {
    if (isForGood(error)) return undefined;
    throw error;
  }
}

/** That a claim waits for its pod (`WaitForPodScheduled`) says less than the pod does. */
function saidIn({ involvedObject: { name, uid }, reason, message = "", lastTimestamp }: KubeEvent): Said[] {
  if (name === undefined || uid === undefined) return [];
  const of = { claim: name, of: uid, at: parseTime(lastTimestamp) };
  if (reason === "ProvisioningFailed" || reason === "FailedBinding") {
    return [{ ...of, words: `Its volume could not be made: ${whyNotMade(message)}`, hasFailed: true }];
  }
  if (reason !== "ExternalProvisioning") return [];
  const [, provisioner = "of its storage class"] = /external provisioner '([^']+)'/.exec(message) ?? [];
  return [{ ...of, words: `Its volume is not made yet by the provisioner ${provisioner}`, hasFailed: false }];
}

/** Without what is another at each try, so that each try is not news, and without what no person can read. */
function whyNotMade(message: string): string {
  return describeMessage(
    message
      .replace(/rpc error: code = \w+ desc = /, "")
      .replaceAll(/,? ?Request ?ID: [\w-]+/gi, "")
      .replace(/\.? *Encoded authorization failure message:.*/s, ""),
  );
}
