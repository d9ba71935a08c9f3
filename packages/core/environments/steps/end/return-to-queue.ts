import { findDisk } from "../../../disks/record.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { unlessUnreadable } from "../../../store/readable.ts";
import { durationText } from "../../../text/duration-text.ts";
import { mayHaveWritten, unreadableDisk } from "../../record/disk/disk-use.ts";
import type { Environment } from "../../record/record.ts";
import { changed, notifyPool, waitedFor } from "../../record/step-result.ts";
import { restart } from "../../verbs/restart.ts";
import { detachVolumes } from "../lost-node.ts";
import { leftMs } from "./end-interrupted.ts";
import { removeLeftoverRuns } from "./leftover-runs.ts";

/** Returns an interrupted environment to the queue. It keeps its disk's lease, so no other job can take the disk. */
export function returnToQueue(environment: Environment, now: number): Step<Environment> {
  const { size, events, end, reason, placement } = environment;
  const wantedMs = leftMs(environment, end.stoppingAt ?? now) + (placement.shortened?.ms ?? 0);
  const run = { size: { ...size, wantedMs }, receiver: events.receiver.run };
  const note = `Queued again with ${durationText(wantedMs)} left: ${reason ?? "it was interrupted"}`;
  return notifyPool(changed(restart(environment, now, run, note), now, "queued again"));
}

/** Returns undefined once the disk that the environment keeps is detached from its machine. */
export async function detachDisk(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment> | undefined> {
  const { disk: use, owner } = environment;
  if (!use || !mayHaveWritten(use)) return undefined;
  const disk = await unlessUnreadable(ctx, async () => (await findDisk(ctx, owner, use.uid)) ?? "missing");
  if (!disk) return waitedFor(environment, now, unreadableDisk(use.name));
  const volume = disk === "missing" || !disk.volume ? undefined : await ctx.volumes.findVolume(disk.volume.id);
  if (!volume?.attached) return undefined;
  // A paused worker may have made the run again, which then uses the volume; no other step searches for it.
  await removeLeftoverRuns(ctx, environment, "all");
  return detachVolumes(ctx, environment, [volume.id], now);
}
