import type { Job } from "./objects.ts";
import type { Place } from "./read-run.ts";

/** Refused where anybody, the cluster too, has written it since. */
export async function patchAsRead(
  { client, paths }: Place,
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
