import type { Observation, RunState } from "#core/context.ts";
import { seeJupyter } from "./access-record.ts";
import { killedFromOutside, stackStopped } from "./exit.ts";
import { bootId, isAlive } from "./process-identity.ts";
import type { ProcessTree } from "./process-tree.ts";
import { type EndRecord, type LauncherRecord, readEnd, readLauncher, readMark, readRun } from "./records.ts";

/** What the files and the process table say about a run. */
export interface Sight {
  readonly launcher: LauncherRecord | undefined;
  readonly launcherLives: boolean;
  /** How it ended; also when nobody was left to write that down. */
  readonly end: EndRecord | undefined;
  readonly unwitnessed: boolean;
  /** The moment at which it is killed, once its removal was asked for. */
  readonly removal: number | undefined;
}

/** Looks at a run once. The end is read last: a launcher that was seen dead has written all that it ever will. */
export function lookAt(directory: string): Sight {
  const launcher = readLauncher(directory);
  const launcherLives = launcher !== undefined && isAlive(launcher.launcher);
  const written = readEnd(directory);
  const end = written ?? (launcherLives ? undefined : unwitnessedEnd(directory, launcher));
  return { launcher, launcherLives, end, unwitnessed: end !== written, removal: readMark(directory, "removal") };
}

/** The run as the port shows it. */
export function observationOf(
  directory: string,
  { launcher, end, removal }: Sight,
  sshPort: number | null,
): Observation {
  const run = readRun(directory);
  const started = end?.started ?? launcher?.started ?? false;
  return {
    state: stateOf(started, end),
    started,
    exitCode: end?.exitCode ?? null,
    reason: end?.reason ?? null,
    address: started ? { ip: "127.0.0.1", port: sshPort } : null,
    nodes: run?.nodes ?? [],
    isolation: run?.isolation ?? "none",
    jupyter: end ? null : seeJupyter(directory),
    terminating: removal !== undefined,
    notes: run?.volume ? [imageNote, volumeNote] : [imageNote],
  };
}

const imageNote = "image recorded, not pulled: the command runs with this machine's own tools";
const volumeNote = "disk at $WORKSPACE, its size not enforced";

/** How the processes of a run are found. */
export function treeOf(name: string, directory: string, launcher: LauncherRecord | undefined): ProcessTree {
  const machines = launcher?.machines ?? [];
  return {
    name,
    directory,
    leaders: machines.map(({ leader }) => leader),
    sandboxes: machines.flatMap(({ sandbox }) => sandbox ?? []),
  };
}

function stateOf(started: boolean, end: EndRecord | undefined): RunState {
  if (end) return "ended";
  return started ? "ready" : "container";
}

/** A run without a launcher is one that still has to be started, unless the stack was stopped before it could be. */
function unwitnessedEnd(directory: string, launcher: LauncherRecord | undefined): EndRecord | undefined {
  const end = { started: launcher?.started ?? false, exitCode: null };
  if (readMark(directory, "stopped") !== undefined) return { ...end, reason: stackStopped };
  if (!launcher) return undefined;
  return { ...end, reason: launcher.launcher.boot === bootId() ? killedFromOutside : "the machine was restarted" };
}
