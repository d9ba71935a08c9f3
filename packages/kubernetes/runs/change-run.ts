import type { Resources } from "#core/ports/compute.ts";
import { annotation, type RunId } from "../names.ts";
import { parseTime } from "../status/end-reason.ts";
import { quantities } from "../status/machine-share.ts";
import { numberIn, patchAsRead } from "./patch-job.ts";
import { type ClusterContext, isLiving, readRun } from "./read-run.ts";
import { MAIN, secondsUntil } from "./run-job.ts";

/** Extends the deadline of living Jobs. Patches only the version that was read, so a late call undoes no newer one. */
export async function extendRun(place: ClusterContext, id: RunId, until: number, now: number): Promise<void> {
  const { jobs } = await readRun(place, id);
  const living = jobs.flatMap((job) => (job && isLiving(job) ? [job] : []));
  await Promise.all(
    living.map(async (job) => {
      const activeDeadlineSeconds = secondsUntil(until, parseTime(job.status?.startTime) ?? now);
      if (activeDeadlineSeconds <= (job.spec?.activeDeadlineSeconds ?? 0)) return;
      await patchAsRead(place, job, { spec: { activeDeadlineSeconds } });
    }),
  );
}

/** Resizes pods in place. The Job keeps its template, and records the revision before the pods change. */
export async function resizeRun(
  place: ClusterContext,
  id: RunId,
  resources: Resources,
  revision: number,
): Promise<void> {
  const {
    jobs: [job],
    pods,
  } = await readRun(place, id);
  const earlierRevision = job ? numberIn(job, annotation.resized) : 0;
  if (earlierRevision > revision) return;
  if (job && earlierRevision < revision) {
    await patchAsRead(place, job, { metadata: { annotations: { [annotation.resized]: String(revision) } } });
  }
  const amounts = quantities(resources);
  const spec = { containers: [{ name: MAIN, resources: { limits: amounts, requests: amounts } }] };
  const living = pods.filter(({ status }) => status?.phase === "Running");
  await Promise.all(
    living.map(({ metadata: { name, uid, resourceVersion } }) => {
      // A late patch must not undo a higher revision, so it applies only to the version that was read.
      const body = { metadata: { uid, resourceVersion }, spec };
      return place.client.patch(`${place.paths.pods}/${name}/resize`, body, "strategic-merge");
    }),
  );
}
