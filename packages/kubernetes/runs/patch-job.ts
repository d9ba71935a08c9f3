import { isAnother, isNotFound } from "../client/api-error.ts";
import type { Job } from "../objects.ts";
import type { ClusterContext } from "./read-run.ts";

/** Patches the version that was read. Throws if anything, including the cluster, has changed it since. */
export async function patchAsRead(
  { client, paths }: ClusterContext,
  { metadata }: Job,
  body: { readonly metadata?: object; readonly spec?: object },
): Promise<void> {
  const { name, uid, resourceVersion } = metadata;
  await client.patch(`${paths.jobs}/${name}`, { ...body, metadata: { ...body.metadata, uid, resourceVersion } });
}

export function numberIn({ metadata }: Job, name: string): number {
  return Number(metadata.annotations?.[name]) || 0;
}

/** Annotates a Job, with retries after a conflict. Does nothing if it is gone or was replaced. */
export async function annotate(
  place: ClusterContext,
  { metadata }: Job,
  annotations: Record<string, string | null>,
): Promise<void> {
  const { uid } = metadata;
  const path = `${place.paths.jobs}/${metadata.name}`;
  await unlessOvertaken(async () => {
    try {
      await place.client.patch(path, { metadata: { uid, annotations } });
    } catch (error) {
      if (isNotFound(error)) return;
      if (isAnother(error) && (await place.client.find<Job>(path))?.metadata.uid !== uid) return;
      throw error;
    }
  });
}

const TRIES = 3;

/** Retries a read-modify-write after a conflict. The cluster itself writes to Jobs as well. */
export async function unlessOvertaken(change: () => Promise<void>): Promise<void> {
  for (let left = TRIES; left > 0; left--) {
    try {
      return await change();
    } catch (error) {
      if (!(isAnother(error) || isNotFound(error)) || left === 1) throw error;
    }
  }
}
