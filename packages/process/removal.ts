import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { forgetAccess } from "./access-record.ts";
import { isSilent } from "./control-socket.ts";
import { removeLimits } from "./limits.ts";
import { type Locking, takeLock } from "./lock.ts";
import { lookAt, type RunStatus, treeOf } from "./observation.ts";
import { signalProcess } from "./process-identity.ts";
import { killTree } from "./process-tree.ts";
import { forgetMark, readMark, writeMark } from "./records.ts";
import { deleteRunDirectory, isDirectory } from "./run-directory.ts";

/** One run as removal needs it. */
export interface RunPlace {
  readonly name: string;
  readonly directory: string;
  readonly locking: Locking;
}

/** How long after its time a supervisor may still be busy ending the run before somebody else does it. */
const supervisorLateMs = 1_000;
/** A supervisor that says nothing for so long says nothing any more. */
const silentMs = 10_000;
const patienceMs = 2_000;

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
export async function carryOn(place: RunPlace, { removal, launcherLives }: RunStatus): Promise<void> {
  if (removal === undefined) return;
  if (!launcherLives) return bury(place);
  if (Date.now() <= removal + supervisorLateMs) return;
  await endNow(place);
  if (isDirectory(place.directory)) await endIfSilent(place.directory);
}

/**
 * Kills everything of the run now; false when some of it was still there after `withinMs`. Its supervisor ends it then.
 */
export async function endNow({ name, directory }: RunPlace, withinMs = 1_000): Promise<boolean> {
  const tree = treeOf(name, directory, lookAt(directory).launcher);
  const isGone = await killTree(tree, withinMs);
  if (isGone) await removeLimits(tree.limits);
  return isGone;
}

/**
 * Ends a supervisor that does not answer again and again, with all of its runs: nobody could end any of them. They are
 * found then as those of one that was killed.
 */
async function endIfSilent(directory: string): Promise<void> {
  const { launcher, launcherLives } = lookAt(directory);
  if (!launcher || !launcherLives) return;
  if (!(await isSilent(directory, { ask: "inside" }, patienceMs))) return forgetMark(directory, "silent");
  const since = readMark(directory, "silent");
  if (since === undefined) writeMark(directory, "silent", Date.now());
  else if (Date.now() > since + silentMs) signalProcess(launcher.launcher, "SIGKILL");
}

/** Makes the supervisor of a run look at its marks; false when it does not live. */
export function nudge(directory: string): boolean {
  const { launcher, launcherLives } = lookAt(directory);
  return launcherLives && launcher !== undefined && signalProcess(launcher.launcher, "SIGUSR2");
}

/** Deletes a directory whose run was never begun and that no supervisor has: then it can be applied as if anew. */
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
export function isDraft({ launcher, end, removal }: RunStatus): boolean {
  return !launcher && !end && removal === undefined;
}

/** Deletes the directory, under its lock, so that no supervisor can begin in it, and only once nothing lives. */
async function bury(place: RunPlace): Promise<void> {
  const lock = takeLock(place.directory, place.locking);
  if (typeof lock === "string") return;
  try {
    if (!(await endNow(place, 200))) return;
    forgetAccess(place.directory);
    await deleteRunDirectory(place.directory);
  } finally {
    lock.release();
  }
}

async function waitUntilGone(directory: string, withinMs: number): Promise<void> {
  const end = performance.now() + withinMs;
  while (performance.now() < end && existsSync(directory)) await sleep(4);
}
