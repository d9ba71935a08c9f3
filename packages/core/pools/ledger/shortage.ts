import type { Environment } from "../../environments/record/record.ts";
import { HOUR_MS, MINUTE_MS } from "../../units.ts";
import type { Grant, MakeableLedger, Shortage } from "./record.ts";

/** Karpenter does not ask again for 3 minutes for a type that EC2 lacks (its cache of unavailable offerings). */
const LEAST_PAUSE_MS = 3 * MINUTE_MS;
const LONGEST_PAUSE_MS = 30 * MINUTE_MS;
/** A try begins soon after the pause and may wait for hours. A try that fails later than this begins a new shortage. */
const REMEMBERED_MS = 12 * HOUR_MS;

/** Returns the item with the shortage that these returned grants show: the machines that they waited for did not come. */
export function noteShortage(
  makeable: MakeableLedger,
  returned: readonly Grant[],
  knownEnvironments: ReadonlyMap<string, Environment>,
): MakeableLedger {
  const failedAt = returned.flatMap((old): number[] => {
    const record = knownEnvironments.get(old.key);
    const withdrawn = record?.uid === old.uid ? record.placement.withdrawn : null;
    return withdrawn?.run === old.run && withdrawn.lacksMachine ? [withdrawn.at] : [];
  });
  const shortage = failedAt.sort((a, b) => a - b).reduce(afterFailedTry, makeable.shortage);
  return shortage === makeable.shortage ? makeable : { ...makeable, shortage };
}

/** Returns the shortage of a group that reports that it can create no machine. */
export function beginShortage(at: number): Shortage {
  return afterFailedTry(undefined, at);
}

/** Counts all runs that return during the pause as one try: they waited at the same time. */
function afterFailedTry(before: Shortage | undefined, at: number): Shortage {
  if (before && at <= before.until) return before;
  const count = before && at - before.until < REMEMBERED_MS ? before.count + 1 : 1;
  const until = at + Math.min(LEAST_PAUSE_MS * 2 ** (count - 1), LONGEST_PAUSE_MS);
  return { count, failedAt: at, until };
}
