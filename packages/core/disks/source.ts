import type { Context } from "../context.ts";
import type { Disk, DiskSource } from "./record.ts";

/** What a disk's first volume is to be made of, after a look for that; as it was where nothing is made of it any more. */
export async function seekSource(ctx: Context<"volumes">, { volume, source }: Disk): Promise<DiskSource | undefined> {
  if (volume || !source) return source;
  const found = await ctx.volumes.findSnapshot(source.id);
  // As of the answer: an absence in which nobody looked is none.
  const missedAt = found?.state === "completed" ? undefined : (source.missedAt ?? ctx.clock.now());
  return { ...source, missedAt };
}
