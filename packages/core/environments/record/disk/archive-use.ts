import type { ArchiveUse } from "../end.ts";
import type { Environment } from "../record.ts";

/** Reports whether an archive uses a volume, which must not be removed until it is settled (steps/keep-archive.ts). */
export function isArchiving({ end: { archive } }: Environment): boolean {
  return archive !== null && mayBeBegun(archive) && !archive.settled;
}

/** Reports whether the archive may have begun. An earlier version did not set `named`. */
export function mayBeBegun({ named, startedAt }: ArchiveUse): boolean {
  return named === true || startedAt !== null;
}
