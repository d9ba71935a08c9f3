import type { Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { eventListing, type KubeEvent } from "./event-listing.ts";

/** Returns the number of failed pulls from events: during a long pull the status still shows the last error. */
export function failedPulls(place: ClusterContext, now: () => number): (pods: readonly Pod[]) => Promise<number> {
  const list = eventListing(place, now, { selector: "reason=Failed", keptMs: 3_000, keep: pullsIn });
  return async (pods) => {
    if (pods.length === 0) return 0;
    const pulls = await list();
    const counts = pods.map(({ metadata: { uid } }) =>
      pulls.filter(({ of }) => of === uid).reduce((sum, { times }) => sum + times, 0),
    );
    return Math.max(...counts);
  };
}

function pullsIn({ involvedObject: { uid }, message = "", count }: KubeEvent) {
  return uid !== undefined && message.startsWith("Failed to pull image") ? [{ of: uid, times: count ?? 1 }] : [];
}
