import { isAnother, isNotFound } from "../client/api-error.ts";
import type { Job } from "../objects.ts";
import type { ClusterContext } from "./read-run.ts";

/** Refused where anybody, the cluster too, has written it since. */
export async function patchAsRead(
  { client, paths }: ClusterContext,
  { metadata }: Job,
  body: { readonly metadata?: object; readonly spec?: object },
): Promise<void> {
  const { name, uid, resourceVersion } = metadata;
  await client.patch(`${paths.jobs}/${name}`, { ...body, metadata: { ...body.metadata, uid, resourceVersion } });
}

/** What an annotation holds; 0 where there is none. */
export function numberIn({ metadata }: Job, name: string): number {
  return Number(metadata.annotations?.[name]) || 0;
}

/** Annotates a Job. Nothing happens where the Job is gone, or is another. One that somebody else changed just then says the same. */
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

/** Repeats a change that reads and writes where somebody else, as the cluster itself, wrote between the two. */
export async function unlessOvertaken(change: () => Promise<void>): Promise<void> {
  for (let left = TRIES; left > 0; left--) {
    try {
      return await change();
    } catch (error) {
      if (!(isAnother(error) || isNotFound(error)) || left === 1) throw error;
    }
  }
}
