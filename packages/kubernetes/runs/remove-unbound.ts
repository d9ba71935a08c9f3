import { RunBound } from "#core/problem.ts";
import { isAnother } from "../client/api-error.ts";
import type { RunId } from "../names.ts";
import type { Pod } from "../objects.ts";
import { toMachineStatus } from "../status/machine-status.ts";
import { toObservation } from "../status/observation.ts";
import type { RunObjects } from "./bound-nodes.ts";
import { type ClusterContext, readRun } from "./read-run.ts";

/**
 * Keeps an unbound run from ever being bound, and answers what is there of it. A pod is deleted only as it was read, and
 * the API server binds none that is being deleted: whichever comes first decides. Throws `RunBound` where the binding did,
 * of all its machines.
 */
export async function keepUnbound(place: ClusterContext, id: RunId): Promise<RunObjects> {
  for (;;) {
    const objects = await readRun(place, id);
    if (!isUnbound(objects)) throw new RunBound();
    const [deciding, ...others] = objects.pods.filter(
      (pod) => !isBound(pod) && pod.metadata.deletionTimestamp === undefined,
    );
    // Without it the run is never whole: the other machines may be bound by now and go all the same.
    if (!deciding || (await removeAsRead(place, deciding))) {
      await Promise.all(others.map((pod) => removeAsRead(place, pod)));
      return objects;
    }
  }
}

export function isBound({ spec }: Pod): boolean {
  return spec.nodeName !== undefined;
}

/** As an observation shows it; of the beginning of a run, which is not shown, nothing may be bound. */
function isUnbound(objects: RunObjects): boolean {
  const seen = toObservation(objects, { now: 0, nodes: [], podRefusal: null, missingVolume: null, failedPulls: 0 });
  if (seen) return seen.state === "unbound";
  return objects.pods.every((pod) => toMachineStatus(pod).state === "unbound");
}

/** False: it has changed since. */
async function removeAsRead({ client, paths }: ClusterContext, { metadata }: Pod): Promise<boolean> {
  const { name, uid, resourceVersion } = metadata;
  try {
    await client.remove(`${paths.pods}/${name}`, { uid, resourceVersion });
    return true;
  } catch (error) {
    if (isAnother(error)) return false;
    throw error;
  }
}
