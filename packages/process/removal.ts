import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { removeLimits } from "./limits.ts";
import { type Locking, takeLock } from "./lock.ts";
import { lookAt, type Sight, treeOf } from "./observation.ts";
import { signalProcess } from "./process-identity.ts";
import { killTree } from "./process-tree.ts";
import { readMark, writeMark } from "./records.ts";
import { deleteRunDirectory } from "./run-directory.ts";

/** One run as removal needs it. */
export interface RunPlace {
  readonly name: string;
  readonly directory: string;
  readonly locking: Locking;
}

/** How long after its time a launcher may still be busy ending the run before somebody else does it. */
const launcherLateMs = 1_000;

/**
 * Asks for the removal of a run that is killed at `killAt` (ms since the epoch; an earlier time stands) and helps
 * it along for at most `withinMs`.
 */
export async function requestRemoval(place: RunPlace, killAt: number, withinMs: number): Promise<void> {
  const { directory } = place;
  const known = readMark(directory, "removal");
  if (known === undefined || killAt < known) writeMark(directory, "removal", killAt);
  if (nudge(directory)) await waitUntilGone(directory, withinMs);
  await carryOn(place, lookAt(directory));
}

/** Takes the next step of a removal that was asked for: whoever looks at the run does, so none can be forgotten. */
export async function carryOn(place: RunPlace, { removal, launcherLives }: Sight): Promise<void> {
  if (removal === undefined) return;
  if (!launcherLives) return bury(place);
  if (Date.now() > removal + launcherLateMs) await endNow(place);
}

/** Kills everything of the run now, its launcher first; false when some of it was still there after `withinMs`. */
export async function endNow({ name, directory }: RunPlace, withinMs = 1_000): Promise<boolean> {
  const { launcher } = lookAt(directory);
  if (launcher) signalProcess(launcher.launcher, "SIGKILL");
  const tree = treeOf(name, directory, launcher);
  const isGone = await killTree(tree, withinMs);
  if (isGone) await removeLimits(tree.limits);
  return isGone;
}

/** Makes the launcher look at its marks; false when it does not live. */
export function nudge(directory: string): boolean {
  const { launcher, launcherLives } = lookAt(directory);
  return launcherLives && launcher !== undefined && signalProcess(launcher.launcher, "SIGUSR2");
}

/** Deletes a directory whose run was never begun and that no launcher has: then it can be applied as if anew. */
export async function forgetDraft({ directory, locking }: RunPlace): Promise<void> {
  const lock = takeLock(directory, locking);
  if (typeof lock === "string") return;
  try {
    if (isDraft(lookAt(directory))) await deleteRunDirectory(directory);
  } finally {
    lock.release();
  }
}

/** Neither begun nor ended, and nobody asked for its removal. */
export function isDraft({ launcher, end, removal }: Sight): boolean {
  return !launcher && !end && removal === undefined;
}

/** Deletes the directory, under its lock, so that no launcher can begin in it, and only once nothing lives. */
async function bury(place: RunPlace): Promise<void> {
  const lock = takeLock(place.directory, place.locking);
  if (typeof lock === "string") return;
  try {
    if (!(await endNow(place, 200))) return;
    await deleteRunDirectory(place.directory);
  } finally {
    lock.release();
  }
}

async function waitUntilGone(directory: string, withinMs: number): Promise<void> {
  const end = performance.now() + withinMs;
  while (performance.now() < end && existsSync(directory)) await sleep(4);
}
