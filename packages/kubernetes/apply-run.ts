import type { Run } from "#core/ports/compute.ts";
import { ApiRefused, isForGood } from "./api-error.ts";
import { makeEbsMounts } from "./ebs-mounts.ts";
import { runOf } from "./names.ts";
import { findJob, type Place } from "./read-run.ts";
import type { ReadNodes } from "./recent-nodes.ts";
import { type JobSurroundings, jobOfRun } from "./run-job.ts";
import { partsOf } from "./run-parts.ts";
import { webPartsOf } from "./web-parts.ts";

/**
 * Makes a run. The first Job is made last: a run that is seen lacks nothing. All of it ends as soon as one call has to: what would
 * begin later could start a run that was given up meanwhile (docs/architecture.md, "A worker that slept is dangerous").
 */
export async function applyRun(
  place: Place,
  run: Run,
  { nodesOf, ...surroundings }: Omit<JobSurroundings, "nodes"> & { readonly nodesOf: ReadNodes },
): Promise<void> {
  const { client } = place;
  const deadline = client.deadline();
  const names = [...new Set(run.shares.flatMap(({ node }) => node ?? []))];
  const nodes = await nodesOf(names, deadline);
  const [first, ...others] = run.shares.map((_, machine) => jobOfRun(run, machine, { ...surroundings, nodes }));
  if (!first) throw new Error("A run has at least one machine");
  const parts = [...partsOf(run, place), ...webPartsOf(run, place, surroundings.web)];
  await Promise.all([
    makeEbsMounts(place, run, deadline),
    ...parts.map(({ path, body }) => client.apply(path, body, deadline)),
  ]);
  await Promise.all(others.map((job, at) => makeJob(place, run, { job, machine: at + 1 }, deadline)));
  await makeJob(place, run, { job: first, machine: 0 }, deadline);
}

/** Leaves an existing Job unchanged: its deadline may have been extended. */
async function makeJob(
  place: Place,
  run: Run,
  { job, machine }: { readonly job: object; readonly machine: number },
  deadline: AbortSignal,
): Promise<void> {
  await place.client.create(place.paths.jobs, job, deadline).catch(async (error: unknown) => {
    const found = mayBeThere(error) ? await findJob(place, run, machine) : undefined;
    if (!found || found.metadata.deletionTimestamp !== undefined || !runOf(found, "Job")) throw error;
  });
}

/** A policy that came after a Job refuses its second creation before anybody looks whether it is there. */
function mayBeThere(error: unknown): boolean {
  return error instanceof ApiRefused && (error.code === "AlreadyExists" || isForGood(error));
}
