import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { removeLimits } from "../sandbox/limits.ts";
import { isSilent } from "../supervisor/control-socket.ts";
import { type Locking, takeLock } from "../supervisor/lock.ts";
import { signalProcess } from "../supervisor/process-identity.ts";
import { killTree } from "../supervisor/process-tree.ts";
import { forgetAccess } from "./access-record.ts";
import { type RunStatus, readStatus, toProcessTree } from "./observation.ts";
import { forgetMark, readMark, writeMark } from "./records.ts";
import { deleteRunDirectory, isDirectory } from "./run-directory.ts";

export interface RunPlace {
  readonly name: string;
  readonly directory: string;
  readonly locking: Locking;
}

/** Time after `killAt` in which the supervisor can end the run itself. */
const supervisorLateMs = 1_000;
/** Silence after which a supervisor counts as hung. */
const silentMs = 10_000;
const anyQuestion = { ask: "inside" } as const;
const answerWithinMs = 2_000;

/** Requests a removal with a kill at `killAt` (ms; an earlier request wins), and waits up to `withinMs` for it. */
export async function requestRemoval(place: RunPlace, killAt: number, withinMs: number): Promise<void> {
  const { directory } = place;
  const knownMark = readMark(directory, "removal");
  if (knownMark === undefined || killAt < knownMark) writeMark(directory, "removal", killAt);
  if (nudge(directory)) await waitUntilGone(directory, withinMs);
  await carryOn(place, readStatus(directory));
}

/** Requests that the command ends by `killAt` (ms since the epoch); an earlier request wins. */
export function requestTermination({ directory }: RunPlace, killAt: number): void {
  const knownMark = readMark(directory, "termination");
  if (knownMark === undefined || killAt < knownMark) writeMark(directory, "termination", killAt);
  nudge(directory);
}

/** Takes the next step of a requested removal. Each observation of the run calls this, so no removal is forgotten. */
export async function carryOn(place: RunPlace, { removal, supervisorLives }: RunStatus): Promise<void> {
  if (removal === undefined) return;
  if (!supervisorLives) return deleteDeadRun(place);
  if (Date.now() <= removal + supervisorLateMs) return;
  await endNow(place);
  if (isDirectory(place.directory)) await endIfSilent(place.directory);
}

/** Kills every process of the run. Returns false if some remain after `withinMs`; a living supervisor ends those. */
export async function endNow({ name, directory }: RunPlace, withinMs = 1_000): Promise<boolean> {
  const tree = toProcessTree(name, directory, readStatus(directory).processes);
  const isGone = await killTree(tree, withinMs);
  if (isGone) await removeLimits(tree.limits);
  return isGone;
}

/** Kills a supervisor that stays silent, and so all of its runs: no other process could end them. */
async function endIfSilent(directory: string): Promise<void> {
  const { processes, supervisorLives } = readStatus(directory);
  if (!processes || !supervisorLives) return;
  if (!(await isSilent(directory, anyQuestion, answerWithinMs))) return forgetMark(directory, "silent");
  const since = readMark(directory, "silent");
  if (since === undefined) writeMark(directory, "silent", Date.now());
  else if (Date.now() > since + silentMs) signalProcess(processes.supervisor, "SIGKILL");
}

/** Makes the supervisor of a run read its marks. Returns false if it does not live. */
export function nudge(directory: string): boolean {
  const { processes, supervisorLives } = readStatus(directory);
  return supervisorLives && processes !== undefined && signalProcess(processes.supervisor, "SIGUSR2");
}

/** Deletes a run that never began and has no supervisor, so that it can be applied from scratch. */
export async function forgetDraft({ directory, locking }: RunPlace): Promise<void> {
  const lock = takeLock(directory, locking);
  if (typeof lock === "string") return;
  try {
    if (isDraft(readStatus(directory))) await deleteRunDirectory(directory);
  } finally {
    lock.release();
  }
}

export function isDraft({ processes, end, removal }: RunStatus): boolean {
  return !processes && !end && removal === undefined;
}

/** Deletes the directory once no process lives. The lock keeps supervisors from starting in it. */
async function deleteDeadRun(place: RunPlace): Promise<void> {
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
