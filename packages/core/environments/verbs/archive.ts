import { utcStamp } from "../../text/utc.ts";
import type { ArchiveUse } from "../record/end.ts";
import type { Environment } from "../record/record.ts";

export function findArchive(environment: Environment, now: number): ArchiveUse | null {
  const { id, owner, policy, volumes } = environment;
  if (!volumes.some((ownVolume) => ownVolume.name === policy.archives && ownVolume.volume)) return null;
  const file = `${policy.archives}-${id}-${utcStamp(now)}.zip`;
  const words = file
    .replace(/\.zip$/, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
  return { blob: `archives/${owner}/${words}`, file, startedAt: null, settled: false };
}
