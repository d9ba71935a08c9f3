import type { NodeRef } from "../../../ports/compute.ts";
import type { ArchiveOwner } from "../../../ports/volumes.ts";
import type { WorkerContext } from "../../../reconciler/step.ts";
import { keyText } from "../../../store/keys.ts";
import { mayBeBegun } from "../../record/disk/archive-use.ts";
import { type Environment, toKey } from "../../record/record.ts";

/** Ends an archive. Returns the silent machine that holds the volume, if any. Throws if its state is unknown. */
export async function endArchive(ctx: WorkerContext, environment: Environment): Promise<NodeRef | undefined> {
  const { archive } = environment.end;
  return archive && mayBeBegun(archive)
    ? await ctx.volumes.endArchive(archive.blob, toArchiveOwner(environment))
    : undefined;
}

export function toArchiveOwner(environment: Environment): ArchiveOwner {
  return { uid: environment.uid, key: keyText(toKey(environment)) };
}
