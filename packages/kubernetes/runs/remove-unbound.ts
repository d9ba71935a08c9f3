import { RunBound } from "#core/problem.ts";
import { isAnother } from "../client/api-error.ts";
import type { RunId } from "../names.ts";
import type { Pod } from "../objects.ts";
import { toMachineStatus } from "../status/machine-status.ts";
import { toObservation } from "../status/observation.ts";
import type { RunObjects } from "./bound-nodes.ts";
import { type ClusterContext, readRun } from "./read-run.ts";

/**
 * Prevents an unbound run from being bound. A pod is deleted only in the version that was read, and the API server
 * binds no pod that is being deleted, so the first wins. Throws `RunBound` if all machines are bound.
 */
export async function keepUnbound(place: ClusterContext, id: RunId): Promise<RunObjects> {
  for (;;) {
    const objects = await readRun(place, id);
    if (!isUnbound(objects)) throw new RunBound();
    const [deciding, ...others] = objects.pods.filter(
      (pod) => !isBound(pod) && pod.metadata.deletionTimestamp === undefined,
    );
    // A run without this pod is never complete, so the other machines go even if they were bound by now.
    if (!deciding || (await removeAsRead(place, deciding))) {
      await Promise.all(others.map((pod) => removeAsRead(place, pod)));
      return objects;
    }
  }
}

export function isBound({ spec }: Pod): boolean {
  return spec.nodeName !== undefined;
}

/** Reports whether the run is unbound. A draft has no observation, so none of its pods may be bound. */
function isUnbound(objects: RunObjects): boolean {
  const seen = toObservation(objects, { now: 0, nodes: [], podRefusal: null, missingVolume: null, failedPulls: 0 });
  if (seen) return seen.state === "unbound";
  return objects.pods.every((pod) => toMachineStatus(pod).state === "unbound");
}

/** Returns false if the pod has changed since. */
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
