import type { Run } from "#core/ports/compute.ts";
import { buildWebParts } from "../access/web-parts.ts";
import { alreadyExists, isForGood } from "../client/api-error.ts";
import { findRun, isEbsVolume } from "../names.ts";
import type { ReadNodes } from "../nodes/read-nodes.ts";
import { makeEbsMounts, removeEbsMounts } from "../volumes/ebs-mounts.ts";
import { type ClusterContext, findJob } from "./read-run.ts";
import { type JobSurroundings, jobOfRun } from "./run-job.ts";
import { buildRunParts, type RunPart } from "./run-parts.ts";

/**
 * Creates a run, its first Job last, so that a visible run is complete. All calls share one deadline: a later call
 * could start a run that was given up since (docs/architecture/consistency.md#paused-workers).
 */
export async function applyRun(
  place: ClusterContext,
  run: Run,
  { readNodes, ...surroundings }: Omit<JobSurroundings, "nodes"> & { readonly readNodes: ReadNodes },
): Promise<void> {
  const { client } = place;
  const deadline = client.deadline();
  const names = [...new Set(run.shares.flatMap(({ node }) => node ?? []))];
  const nodes = await readNodes(names, deadline);
  const [first, ...others] = run.shares.map((_, machine) => jobOfRun(run, machine, { ...surroundings, nodes }));
  if (!first) throw new Error("A run has at least one machine");
  const parts = [
    ...buildRunParts(run, place, surroundings.pods?.networkAllow),
    ...buildWebParts(run, place, surroundings.web),
  ];
  await Promise.all([
    makeEbsMounts(place, run, deadline),
    ...parts.map(({ path, body }) => client.apply(path, body, deadline)),
  ]);
  try {
    await Promise.all(others.map((job, at) => makeJob(place, run, { job, machine: at + 1 }, deadline)));
    await makeJob(place, run, { job: first, machine: 0 }, deadline);
  } catch (error) {
    if (error instanceof RunRemoved) await removeParts(place, run, parts);
    throw error;
  }
}

/** A paused worker applied a run that was removed since: a tombstone has the name of its Job. */
class RunRemoved extends Error {
  constructor() {
    super("The run was removed");
    this.name = "RunRemoved";
  }
}

async function removeParts(place: ClusterContext, run: Run, parts: readonly RunPart[]): Promise<void> {
  await Promise.all(parts.map(({ path }) => place.client.remove(path, { uid: undefined })));
  if (run.mounts.some(({ volume }) => isEbsVolume(volume.id))) await removeEbsMounts(place, run);
}

/** Creates a Job or keeps an existing one, whose deadline may be extended. Throws if a tombstone has its name. */
async function makeJob(
  place: ClusterContext,
  run: Run,
  { job, machine }: { readonly job: object; readonly machine: number },
  deadline: AbortSignal,
): Promise<void> {
  await place.client.create(place.paths.jobs, job, deadline).catch(async (error: unknown) => {
    const found = mayBeThere(error) ? await findJob(place, run, machine) : undefined;
    if (!found && alreadyExists(error)) throw new RunRemoved();
    if (!found || found.metadata.deletionTimestamp !== undefined || !findRun(found, "Job")) throw error;
  });
}

/** Reports whether the Job may exist. An admission policy refuses a second creation before the name is checked. */
function mayBeThere(error: unknown): boolean {
  return alreadyExists(error) || isForGood(error);
}
