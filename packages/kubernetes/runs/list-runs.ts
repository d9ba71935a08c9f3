import type { RunRef } from "#core/ports/compute.ts";
import { unlessForbidden } from "../client/forbidden.ts";
import {
  everyRunSelector,
  findRun,
  formatLoginName,
  formatNetworkName,
  formatSshServiceName,
  formatWebName,
  labelledRun,
  nameOfRun,
  type RunId,
} from "../names.ts";
import type { KubeObject } from "../objects.ts";
import { listArchives } from "../volumes/archive-job.ts";
import { listEbsMounts } from "../volumes/ebs-mounts.ts";
import type { ClusterContext } from "./read-run.ts";

export async function listRuns({ client, paths, deployment }: ClusterContext, uid?: string): Promise<RunRef[]> {
  const everyRun = everyRunSelector(deployment, uid);
  const list = (path: string, kind: "Job" | "Pod") =>
    client.list(`${path}?${everyRun}`, (object: KubeObject) => [findRun(object, kind)], { part: "metadata" });
  const [jobs, pods] = await Promise.all([list(paths.jobs, "Job"), list(paths.pods, "Pod")]);
  // Jobs come last, so that their key wins: a Job keeps what it was created with.
  return distinct([...pods.items, ...jobs.items].flatMap((ref) => ref ?? []));
}

/** Lists the runs that have objects beside their Jobs. Reads only metadata, so secrets never leave the API server. */
export async function listParts(place: ClusterContext): Promise<RunRef[]> {
  const { client, paths, deployment } = place;
  const selector = everyRunSelector(deployment);
  const kinds = [
    { path: paths.secrets, names: [nameOfRun, formatLoginName] },
    { path: paths.services, names: [formatNetworkName, formatWebName, formatSshServiceName] },
    { path: paths.networkPolicies, names: [formatNetworkName] },
    { path: paths.ingresses, names: [formatWebName] },
  ];
  const lists = await Promise.all([
    listEbsMounts(place),
    // If listing Jobs is forbidden, the runs are not listed either, so nothing is compared.
    listArchives(place),
    ...kinds.map(async ({ path, names }) => {
      const keep = (part: KubeObject) => listRefs(part, names);
      const list = client.list(`${path}?${selector}`, keep, { part: "metadata" }).then(({ items }) => items);
      return unlessForbidden(place, `GET ${path}`, list, []);
    }),
  ]);
  return distinct(lists.flat());
}

/** Keeps the last reference to each run. */
function distinct(refs: readonly RunRef[]): RunRef[] {
  return [...new Map(refs.map((ref) => [`${ref.uid} ${ref.run}`, ref])).values()];
}

function listRefs({ metadata }: KubeObject, names: readonly ((id: RunId) => string)[]): RunRef[] {
  const ref = labelledRun(metadata);
  return ref && names.some((formatName) => formatName(ref) === metadata.name) ? [ref] : [];
}
