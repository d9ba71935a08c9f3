import type { ArchiveUse } from "../end.ts";
import type { Environment } from "../record.ts";

/**
 * Whether an archive has a volume of it: until that is settled nobody may take the volume away (steps/keep-archive.ts).
 */
export function isArchiving({ end: { archive } }: Environment): boolean {
  return archive !== null && mayBeBegun(archive) && !archive.settled;
}

/** Whether somebody may have begun it. One that an earlier version began has no name. */
export function mayBeBegun({ named, startedAt }: ArchiveUse): boolean {
  return named === true || startedAt !== null;
}
