import { dirname } from "node:path";
import type { Observation, PortStatus, RunState } from "#core/ports/compute.ts";
import { readPorts } from "../network/local-ports.ts";
import { describeIsolation } from "../network/network.ts";
import { seePorts, unansweredPorts } from "../pages/port-status.ts";
import { describeRunLimits, noLimits } from "../sandbox/limits.ts";
import { killedFromOutside, stackStopped } from "../supervisor/exit.ts";
import { bootId, isAlive } from "../supervisor/process-identity.ts";
import type { ProcessTree } from "../supervisor/process-tree.ts";
import { countSessions } from "../supervisor/sessions.ts";
import { volumeData } from "../volumes/volume-directory.ts";
import { seeJupyter } from "./access-record.ts";
import { nodeRef } from "./pretend-node.ts";
import {
  type EndRecord,
  endWrittenAt,
  type ProcessesRecord,
  type RunRecord,
  readEnd,
  readMark,
  readProcesses,
  readRun,
  writeMark,
} from "./records.ts";

/** What the files and the process table say about a run. */
export interface RunStatus {
  /** What its supervisor has written of itself and its machines, in `processes.json`. */
  readonly processes: ProcessesRecord | undefined;
  /** The supervisor lives, and the run has not ended. */
  readonly supervisorLives: boolean;
  /** How it ended; also when nobody was left to write that down. */
  readonly end: EndRecord | undefined;
  /** This look concluded the end, and nobody has written it yet: some of the run may still live. */
  readonly isEndUnwritten: boolean;
  /** When the run will be killed, ms; undefined until somebody asks for its removal. */
  readonly removal: number | undefined;
}

/**
 * Looks at a run once. The end is read after the supervisor was looked for: one that was seen dead had already written all
 * that it ever writes, and one that has written an end has no more to do with the run.
 */
export function readStatus(directory: string): RunStatus {
  const processes = readProcesses(directory);
  const isSupervised = processes !== undefined && isAlive(processes.supervisor);
  const written = readEnd(directory);
  const supervisorLives = isSupervised && written === undefined;
  const end = written ?? (supervisorLives ? undefined : unwitnessedEnd(directory, processes));
  return { processes, supervisorLives, end, isEndUnwritten: end !== written, removal: readMark(directory, "removal") };
}

/** The SSH server of all runs, on 127.0.0.1; there is none when it has no port. */
export interface SshEntry {
  readonly sshPort?: number;
  /** Its public host key. */
  readonly sshHostKey?: string;
}

/** The Observation of a run, as the compute port defines it. Tries the network ports of the run. */
export async function observe(
  directory: string,
  { processes, end, removal }: RunStatus,
  { sshPort, sshHostKey: hostKey }: SshEntry,
): Promise<Observation> {
  const run = readRun(directory);
  const started = end?.started ?? processes?.started ?? false;
  const jupyter = end ? null : seeJupyter(directory);
  const declared = run?.ports ?? [];
  const lives = started && !end;
  const networkPid = run?.network === "own" ? (processes?.machines[0]?.sandbox?.pid ?? null) : null;
  const access = { sshPort: sshPort ?? null, jupyter, networkPid };
  const ports = lives ? await seePorts(directory, declared, access) : unansweredPorts(declared);
  return {
    state: end ? "ended" : livingState(directory, started, ports),
    started,
    exitCode: end?.exitCode ?? null,
    endedAt: end && !end.unwitnessed ? endWrittenAt(directory) : null,
    reason: end?.reason ?? null,
    address: started ? { ip: "127.0.0.1", port: sshPort ?? null, ...(hostKey && { hostKey }) } : null,
    nodes: (run?.nodes ?? []).map((name) => ({ ...nodeRef(dirname(dirname(directory)), name), silent: null })),
    isolation: describeIsolation(run?.isolation ?? "none", run?.network ?? "shared", lives && isCutOff(directory)),
    jupyter,
    ports,
    limits: describeRunLimits(run?.limits ?? noLimits),
    sessions: end ? 0 : countSessions(directory),
    terminating: removal !== undefined,
    notes: listNotes(directory, run),
  };
}

const imageNote = "image recorded, not pulled: the command runs with this machine's own tools";
const volumeNote = "disk at $WORKSPACE, its size not enforced";
const noVolumeNote = "no disk: files are lost with the environment";
const pythonNote = "python runs python3: this machine has no program of that name";

function listNotes(directory: string, run: RunRecord | undefined): string[] {
  const placeholders = readPorts(directory).filter(({ hasPlaceholder }) => hasPlaceholder);
  return [
    imageNote,
    ...(run ? [run.volumes.length > 0 ? volumeNote : noVolumeNote] : []),
    ...(/^python\b/.test(run?.image ?? "") && run?.hasSparePython ? [pythonNote] : []),
    ...placeholders.map(({ port, kind, hasIde }) => {
      if (hasIde) return `code-server of this machine serves port ${port}, and a placeholder answers its chats`;
      const why = kind === "jupyter" ? "this machine has no Jupyter" : "it has no command";
      return `a placeholder answers on port ${port}: ${why}`;
    }),
  ];
}

/** How the processes of a run are found. */
export function toProcessTree(name: string, directory: string, processes: ProcessesRecord | undefined): ProcessTree {
  const machines = processes?.machines ?? [];
  return {
    name,
    directory,
    // The volumes of a run that has ended may be another run's by now: its processes are not looked for there.
    volumes: readEnd(directory) ? [] : listVolumes(directory),
    leaders: machines.map(({ leader }) => leader),
    sandboxes: machines.flatMap(({ sandbox }) => sandbox ?? []),
    limits: readRun(directory)?.limits ?? noLimits,
  };
}

/** The directories of the volumes that its first machine mounts. */
function listVolumes(directory: string): string[] {
  const home = dirname(dirname(directory));
  return (readRun(directory)?.volumes ?? []).map((id) => volumeData(home, id));
}

/**
 * How far a living run has come. It is ready once all its ports have answered, which is noted here, and stays so when one
 * of them falls silent.
 */
function livingState(directory: string, started: boolean, ports: readonly PortStatus[]): RunState {
  if (!started) return "container";
  if (ports.length === 0 || isAnswered(directory)) return "ready";
  if (!ports.every(({ answers }) => answers)) return "probe";
  try {
    writeMark(directory, "answered", Date.now());
  } catch {
    // On a full disk: it is asked again at the next look.
  }
  return "ready";
}

/** Whether all its ports have answered once. */
export function isAnswered(directory: string): boolean {
  return readMark(directory, "answered") !== undefined;
}

function isCutOff(directory: string): boolean {
  return readMark(directory, "cut-off") !== undefined;
}

/**
 * How a run ended whose supervisor wrote no end. Undefined: it was never begun, so it can still be started. The mark
 * `stopped` counts first: with it the stack ended this run, or lets nobody start it any more.
 */
function unwitnessedEnd(directory: string, processes: ProcessesRecord | undefined): EndRecord | undefined {
  const end = { started: processes?.started ?? false, exitCode: null, unwitnessed: true } as const;
  if (readMark(directory, "stopped") !== undefined) return { ...end, reason: stackStopped };
  if (!processes) return undefined;
  return { ...end, reason: processes.supervisor.boot === bootId() ? killedFromOutside : "the machine was restarted" };
}
