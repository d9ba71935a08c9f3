import { ApiRefused, alreadyExists, isAnother, isNotFound } from "../client/api-error.ts";
import { deploymentLabels, findRun, formatJobName, getMachine, type RunId } from "../names.ts";
import { findCondition, type Job, type Metadata, type Pod } from "../objects.ts";
import { parseTime } from "../status/end-reason.ts";
import type { RunObjects } from "./bound-nodes.ts";
import type { ClusterContext } from "./read-run.ts";

/** Label of a tombstone. It has no run's labels, so lists and watches of runs omit it. */
const tombstoneLabel = "berth/tombstone";
/** The port promises 60 s. The rest allows for a controller whose clock is 17 s ahead. */
const KEPT_SECONDS = 77;
/** Attempts, each of which deletes a Job that a late worker created. */
const TRIES = 3;

/**
 * Keeps the Jobs of a run as its tombstones if the pods of all machines have ended. Otherwise, or if any Job cannot be
 * kept, returns false, and the Jobs have to be deleted.
 */
export async function keepEndedJobs(
  place: ClusterContext,
  { jobs, pods }: RunObjects,
  { machines, now }: { readonly machines: number; readonly now: number },
): Promise<boolean> {
  const isOver = ({ status }: Pod) => status?.phase === "Succeeded" || status?.phase === "Failed";
  const hasEnded = (machine: number) => {
    const own = pods.filter((pod) => getMachine(pod) === machine);
    return own.length > 0 && own.every(isOver);
  };
  const ended = jobs.filter((job, machine) => job && job.metadata.deletionTimestamp === undefined && hasEnded(machine));
  if (ended.length !== machines || jobs.length !== machines) return false;
  const [first, ...others] = ended;
  const kept = await Promise.all(others.map((job) => job && keepAsTombstone(place, job, now)));
  return kept.every(Boolean) && first !== undefined && keepAsTombstone(place, first, now);
}

/**
 * Keeps an ended Job as its own tombstone: without the run's labels, and for the cluster to delete. That costs the API
 * server one write, and a Job that is deleted and created again costs it seven. Returns false if it was replaced or the
 * cluster refuses the change.
 */
async function keepAsTombstone(
  { client, paths, deployment, log }: ClusterContext,
  job: Job,
  now: number,
): Promise<boolean> {
  const { name, uid, labels } = job.metadata;
  const kept = deploymentLabels(deployment);
  const runLabels = Object.keys(labels ?? {}).filter((key) => !(key in kept));
  const cleared = Object.fromEntries(runLabels.map((key) => [key, null]));
  const metadata = { uid, labels: { ...cleared, [tombstoneLabel]: "" } };
  try {
    // The Job controller may have yet to count the ended pod. Without it, it would create another one.
    const spec = { parallelism: 0, ttlSecondsAfterFinished: KEPT_SECONDS + getAgeSeconds(job, now) };
    await client.patch(`${paths.jobs}/${name}`, { metadata, spec });
    return true;
  } catch (error) {
    if (!(error instanceof ApiRefused)) throw error;
    if (!isNotFound(error) && !isAnother(error))
      log?.warn("the cluster refuses a tombstone, so the Job is created again", { refused: error.message });
    return false;
  }
}

/** Returns the seconds since the Job finished, because the cluster counts from then. */
function getAgeSeconds(job: Job, now: number): number {
  const verdict = findCondition(job, "Complete") ?? findCondition(job, "Failed");
  const finishedAt = parseTime(verdict?.lastTransitionTime) ?? now;
  return Math.max(0, Math.ceil((now - finishedAt) / 1000));
}

/** Creates tombstones under the names of a run's Jobs, against late creations. Returns false if any fails. */
export async function leaveTombstones(
  place: ClusterContext,
  id: RunId,
  { machines, image }: { readonly machines: number; readonly image: string | undefined },
): Promise<boolean> {
  const all = Array.from({ length: machines }, (_, machine) => buildTombstone(id, machine, { ...place, image }));
  const left = await Promise.all(all.map((tombstone) => leaveTombstone(place, tombstone)));
  return left.every(Boolean);
}

export function isTombstone({ metadata }: { readonly metadata: Pick<Metadata, "labels"> }): boolean {
  return metadata.labels?.[tombstoneLabel] !== undefined;
}

async function leaveTombstone({ client, paths, log }: ClusterContext, tombstone: Tombstone): Promise<boolean> {
  const path = `${paths.jobs}/${tombstone.metadata.name}`;
  for (let tries = 0; tries < TRIES; tries += 1) {
    try {
      await client.create(paths.jobs, tombstone);
      return true;
    } catch (error) {
      if (!(error instanceof ApiRefused)) throw error;
      if (!alreadyExists(error)) {
        log?.warn("the cluster refuses a tombstone, so the GPUs of the job are free later", { refused: error.message });
        return false;
      }
    }
    const found = await client.find<Job>(path);
    if (found && isTombstone(found)) return true;
    if (found && findRun(found, "Job")) await client.remove(path, { uid: found.metadata.uid });
  }
  return false;
}

interface Tombstone {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: object;
}

interface Burial {
  readonly deployment: string;
  /** Image of the run, which the cluster's policies allow; undefined if no Job was left. */
  readonly image: string | undefined;
  readonly keptSeconds?: number;
}

/**
 * Returns a Job that completes at once, because it wants no pods, and that the cluster then deletes (Kubernetes,
 * "Automatic Cleanup for Finished Jobs"). Its template is never used, but must be valid.
 */
export function buildTombstone(
  id: RunId,
  machine: number,
  { deployment, image = "tombstone", keptSeconds = KEPT_SECONDS }: Burial,
): Tombstone & { readonly kind: "Job"; readonly apiVersion: "batch/v1" } {
  const nothing = { cpu: "1m", memory: "1Mi" };
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name: formatJobName(id, machine),
      labels: { ...deploymentLabels(deployment), [tombstoneLabel]: "" },
    },
    spec: {
      completions: 0,
      parallelism: 0,
      backoffLimit: 0,
      ttlSecondsAfterFinished: keptSeconds,
      template: {
        spec: {
          restartPolicy: "Never",
          automountServiceAccountToken: false,
          securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
          containers: [
            {
              name: "none",
              image,
              resources: { limits: nothing, requests: nothing },
              securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
            },
          ],
        },
      },
    },
  };
}
