import type { UserContext } from "../../context.ts";
import { utcStamp } from "../../text/utc.ts";
import { changeEnvironment } from "../record/changes/change.ts";
import type { ArchiveUse } from "../record/end.ts";
import { type Environment, isEnded } from "../record/record.ts";
import { decideEnd } from "../record/transitions.ts";

interface Deletion {
  /** Checked against the record that is about to be changed; nothing is deleted if it returns false. */
  readonly onlyIf?: (environment: Environment) => boolean;
}

/**
 * Deletes compute, own volumes (with a zip if its policy says so) and the record. Ended environments stay as they are.
 */
export async function requestDelete(
  ctx: UserContext<"table" | "queue">,
  id: string,
  { onlyIf = () => true }: Deletion = {},
): Promise<Environment> {
  return changeEnvironment(ctx, id, (environment, now) => {
    if (environment.end.outcome || isEnded(environment) || !onlyIf(environment)) return environment;
    const archive = findArchive(environment, now);
    const decided = decideEnd(
      { ...environment, end: { ...environment.end, archive }, goal: { ...environment.goal, start: null } },
      { phase: "deleted", reason: null, at: now },
    );
    return { ...decided, waitPool: undefined, waitOrder: undefined };
  });
}

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
