import { isForGood } from "../client/api-error.ts";
import type { Job, KubeObject, Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { parseTime } from "./end-reason.ts";
import { type AdmissionDenied, asSentence, podRefusalIn } from "./refusal.ts";

export interface KubeEvent extends KubeObject {
  readonly involvedObject: { readonly name?: string; readonly uid?: string; readonly fieldPath?: string };
  readonly reason?: string;
  readonly message?: string;
  readonly source?: { readonly component?: string };
  readonly reportingComponent?: string;
  readonly lastTimestamp?: string | null;
  readonly count?: number | null;
}

interface EventListing<Kept> {
  /** Undefined: the events of the namespace of environments. */
  readonly path?: string;
  /** Field selector: `reason=FailedCreate`. */
  readonly selector: string;
  readonly keptMs: number;
  keep(event: KubeEvent): readonly Kept[];
}

/** Returns a cached list of events, because the API server scans all of them. It is empty without the right to read. */
export function eventListing<Kept>(
  { client, paths }: ClusterContext,
  now: () => number,
  { path = paths.events, selector, keptMs, keep }: EventListing<Kept>,
): () => Promise<readonly Kept[]> {
  const address = `${path}?fieldSelector=${encodeURIComponent(selector)}`;
  let newest: { readonly at: number; readonly answer: Promise<readonly Kept[]> } | undefined;
  const list = async () => {
    try {
      return (await client.list<KubeEvent, Kept>(address, keep)).items;
    } catch (error) {
      if (isForGood(error)) return [];
      throw error;
    }
  };
  return async () => {
    if (!newest || now() >= newest.at + keptMs) newest = { at: now(), answer: list() };
    const pending = newest;
    try {
      return await pending.answer;
    } catch (error) {
      if (newest === pending) newest = undefined;
      throw error;
    }
  };
}

/** Returns the number of failed pulls from events: during a long pull the status still shows the last error. */
export function failedPulls(place: ClusterContext, now: () => number): (pods: readonly Pod[]) => Promise<number> {
  const list = eventListing(place, now, { selector: "reason=Failed", keptMs: 3_000, keep: pullsIn });
  return async (pods) => {
    if (pods.length === 0) return 0;
    const pulls = await list();
    const counts = pods.map(({ metadata: { uid } }) =>
      pulls.filter((pull) => pull.uid === uid).reduce((sum, { times }) => sum + times, 0),
    );
    return Math.max(...counts);
  };
}

function pullsIn({ involvedObject: { uid }, message = "", count }: KubeEvent) {
  return uid !== undefined && message.startsWith("Failed to pull image") ? [{ uid, times: count ?? 1 }] : [];
}

/** Age at which a Job should have its pod. */
const youngMs = 5_000;

/** Returns why the cluster creates no pod for a Job (a quota, an admission webhook), from events, or null. */
export function podRefusals(place: ClusterContext, now: () => number): (job: Job) => Promise<AdmissionDenied | null> {
  const list = eventListing(place, now, { selector: "reason=FailedCreate", keptMs: 10_000, keep: refusalsIn });
  return async ({ metadata }) => {
    const age = now() - (parseTime(metadata.creationTimestamp) ?? 0);
    if (age >= 0 && age < youngMs) return null;
    const refusals = (await list()).filter(({ uid }) => uid === metadata.uid);
    return refusals.toSorted((a, b) => a.at.localeCompare(b.at)).at(-1)?.refusal ?? null;
  };
}

function refusalsIn({ involvedObject: { uid }, message = "", lastTimestamp }: KubeEvent) {
  if (uid === undefined) return [];
  const refusal = podRefusalIn(message.replace(/^Error creating: (pods "[^"]*" is forbidden: )?/, ""));
  const words = refusal.passes ? asSentence(refusal.words) : refusal.words;
  return [{ uid, at: lastTimestamp ?? "", refusal: { ...refusal, words } }];
}
