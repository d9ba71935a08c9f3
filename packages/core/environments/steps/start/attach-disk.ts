import { type Disk, zonePinnedBy } from "../../../disks/record.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { utcText } from "../../../text/utc.ts";
import type { DiskUse } from "../../record/disk/disk-use.ts";
import type { Environment } from "../../record/record.ts";
import { changed, waitedSince } from "../../record/step-result.ts";
import { addEntry } from "../../record/timeline.ts";
import { endRun } from "../end/end-run.ts";
import { openDisk } from "./disk.ts";

/** Marks the disk as attached before a run can write to it. From then on, its end is backed up in any case. */
export async function attachDisk(
  ctx: WorkerContext,
  environment: Environment,
  use: DiskUse,
  now: number,
): Promise<Step<Environment>> {
  const opened = await openDisk(ctx, environment, environment.zone ?? "");
  if (!opened) return endRun(environment, now, `Disk '${use.name}' is no longer its own`);
  if (opened.kind === "lost" || opened.kind === "refused") return endRun(environment, now, opened.reason);
  if (opened.kind !== "open") {
    const waiting = { ...environment, reason: opened.reason };
    return waitedSince(waiting, environment.run.preparingAt, now, "looks for what is left of its disk");
  }
  const { disk } = opened;
  const zone = zonePinnedBy(disk.volume);
  const attached: Environment = { ...environment, step: "pod", reason: null, zone, disk: { ...use, attached: true } };
  const at = disk.restored?.by === environment.uid ? disk.restored.at : null;
  const note =
    at === null ? olderNote(use.name, disk) : `Disk '${use.name}' restored from its backup of ${utcText(at)}`;
  // An earlier run of the environment has said so.
  const isSaid = environment.starts > 0 && environment.events.timeline.some(({ reason }) => reason === note);
  return changed(note && !isSaid ? addEntry(attached, now, note) : attached, now, "opened its disk");
}

function olderNote(name: string, { lost, snapshots }: Disk): string | undefined {
  if (!lost?.gaveUp && lost?.refused === undefined) return undefined;
  const latest = snapshots.findLast(({ completed }) => completed);
  return latest
    ? `The latest backup of disk '${name}' is of ${utcText(latest.at)}`
    : `There is no backup of disk '${name}'`;
}
