import { isForGood } from "./api-error.ts";
import { timeOf } from "./end-reason.ts";
import type { Job, KubeObject } from "./objects.ts";
import type { Place } from "./read-run.ts";

interface KubeEvent extends KubeObject {
  readonly involvedObject: { readonly uid?: string };
  readonly message?: string;
  readonly lastTimestamp?: string | null;
}

interface Refusal {
  readonly of: string;
  readonly at: string;
  readonly message: string | null;
}

/** A Job has its first pod long before. */
const youngMs = 5_000;
const keptMs = 10_000;

/**
 * Why the cluster makes no pod for a Job (a quota, an admission webhook), which only an event says; null: it does not.
 * The API server reads all events of the namespace to find those of one Job: it is asked once for all Jobs.
 */
export function podRefusals(place: Place, now: () => number): (job: Job) => Promise<string | null> {
  let newest: { readonly at: number; readonly answer: ReturnType<typeof listRefusals> } | undefined;
  return async ({ metadata }) => {
    const age = now() - (timeOf(metadata.creationTimestamp) ?? 0);
    if (age >= 0 && age < youngMs) return null;
    if (!newest || now() >= newest.at + keptMs) newest = { at: now(), answer: listRefusals(place) };
    const asked = newest;
    try {
      return (await asked.answer).get(metadata.uid) ?? null;
    } catch (error) {
      if (newest === asked) newest = undefined;
      throw error;
    }
  };
}

async function listRefusals({ client, paths }: Place): Promise<ReadonlyMap<string, string | null>> {
  const path = `${paths.events}?fieldSelector=${encodeURIComponent("reason=FailedCreate")}`;
  const listing = client.list<KubeEvent, Refusal>(path, refusalsIn);
  const { items } = await listing.catch((error: unknown) => {
    if (isForGood(error)) return { items: [] };
    throw error;
  });
  const inOrder = items.toSorted((a, b) => a.at.localeCompare(b.at));
  return new Map(inOrder.map(({ of, message }) => [of, message]));
}

function refusalsIn({ involvedObject, message, lastTimestamp }: KubeEvent): Refusal[] {
  const { uid } = involvedObject;
  return uid === undefined ? [] : [{ of: uid, at: lastTimestamp ?? "", message: message ?? null }];
}
