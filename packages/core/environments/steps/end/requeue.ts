import { findDisk } from "../../../disks/record.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { unlessUnreadable } from "../../../store/readable.ts";
import { durationText } from "../../../text/duration-text.ts";
import { mayHaveWritten } from "../../record/disk/disk-use.ts";
import type { Environment } from "../../record/record.ts";
import { changed, notifyPool } from "../../record/step-result.ts";
import { restart } from "../../verbs/restart.ts";
import { detachVolumes } from "../lost-node.ts";
import { leftMs } from "./interrupted.ts";

/** Returns an interrupted environment to the queue. It keeps its disk, so no other job can take that in between. */
export function requeue(environment: Environment, now: number): Step<Environment> {
  const { size, events, end } = environment;
  const wantedMs = leftMs(environment, end.stoppingAt ?? now);
  const run = { size: { ...size, wantedMs }, receiver: events.receiver.run };
  const note = `Queued again with ${durationText(wantedMs)} left`;
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
  const disk = await unlessUnreadable(ctx, () => findDisk(ctx, owner, use.uid));
  return disk?.volume ? detachVolumes(ctx, environment, [disk.volume.id], now) : undefined;
}
