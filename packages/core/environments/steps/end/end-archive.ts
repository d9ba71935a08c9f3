import type { NodeRef } from "../../../ports/compute.ts";
import type { ArchiveOwner } from "../../../ports/volumes.ts";
import type { WorkerContext } from "../../../reconciler/worker.ts";
import { keyText } from "../../../store/keys.ts";
import { mayBeBegun } from "../../record/disk/archive-use.ts";
import { type Environment, keyOf } from "../../record/record.ts";

/**
 * Ends what an archive still has in the world: a worker that slept may have begun it once more, and its machine may be
 * lost. Throws while nobody answers: the volume stays until it is known that nothing holds it. Answers the machine that
 * holds it and is silent.
 */
export async function endArchive(ctx: WorkerContext, environment: Environment): Promise<NodeRef | undefined> {
  const { archive } = environment.end;
  return archive && mayBeBegun(archive)
    ? await ctx.volumes.endArchive(archive.blob, archiveOwnerOf(environment))
    : undefined;
}

/** What an archive of the environment is found again by. */
export function archiveOwnerOf(environment: Environment): ArchiveOwner {
  return { uid: environment.uid, key: keyText(keyOf(environment)) };
}
