import type { Job } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { parseTime } from "./end-reason.ts";
import { eventListing, type KubeEvent } from "./event-listing.ts";
import { type AdmissionDenied, podRefusalIn } from "./refusal.ts";

/** Age at which a Job should have its pod. */
const youngMs = 5_000;

interface Said {
  readonly of: string;
  readonly at: string;
  readonly refusal: AdmissionDenied;
}

/** Returns why the cluster creates no pod for a Job (a quota, an admission webhook), from events, or null. */
export function podRefusals(place: ClusterContext, now: () => number): (job: Job) => Promise<AdmissionDenied | null> {
  const list = eventListing(place, now, { selector: "reason=FailedCreate", keptMs: 10_000, keep: saidIn });
  return async ({ metadata }) => {
    const age = now() - (parseTime(metadata.creationTimestamp) ?? 0);
    if (age >= 0 && age < youngMs) return null;
    const said = (await list()).filter(({ of }) => of === metadata.uid);
    return said.toSorted((a, b) => a.at.localeCompare(b.at)).at(-1)?.refusal ?? null;
  };
}

function asSentence(words: string): string {
  return `${words.slice(0, 1).toUpperCase()}${words.slice(1)}`;
}

function saidIn({ involvedObject: { uid }, message = "", lastTimestamp }: KubeEvent): Said[] {
  if (uid === undefined) return [];
  const said = message.replace(/^Error creating: (pods "[^"]*" is forbidden: )?/, "");
  const refusal = podRefusalIn(said);
  return [
    {
      of: uid,
      at: lastTimestamp ?? "",
      refusal: refusal.passes ? { ...refusal, words: asSentence(refusal.words) } : refusal,
    },
  ];
}
