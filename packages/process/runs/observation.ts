import { dirname, join } from "node:path";
import type { Observation, PortStatus, RunState } from "#core/ports/compute.ts";
import { readPorts } from "../network/local-ports.ts";
import { describeIsolation } from "../network/network.ts";
import { seePorts, unansweredPorts } from "../pages/port-status.ts";
import { describeRunLimits, noLimits } from "../sandbox/limits.ts";
import { killedFromOutside, stackStopped } from "../supervisor/exit.ts";
import { bootId, isAlive } from "../supervisor/process-identity.ts";
import type { ProcessTree } from "../supervisor/process-tree.ts";
import { countSessions } from "../supervisor/sessions.ts";
import { heldVolumes } from "../volumes/volume-directory.ts";
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
import { listRunNames } from "./run-directory.ts";

export interface RunStatus {
  readonly processes: ProcessesRecord | undefined;
  readonly supervisorLives: boolean;
  readonly end: EndRecord | undefined;
  /** The end was only concluded now and is not written yet; processes of the run may still live. */
  readonly isEndUnwritten: boolean;
  /** Time at which the run will be killed, in ms; undefined before a removal request. */
  readonly removal: number | undefined;
}

/** Read the end after the supervisor's liveness: a dead supervisor writes nothing more. */
export function readStatus(directory: string): RunStatus {
  const processes = readProcesses(directory);
  const isSupervised = processes !== undefined && isAlive(processes.supervisor);
  const written = readEnd(directory);
  const supervisorLives = isSupervised && written === undefined;
  const end = written ?? (supervisorLives ? undefined : unwitnessedEnd(directory, processes));
  return { processes, supervisorLives, end, isEndUnwritten: end !== written, removal: readMark(directory, "removal") };
}

export interface SshEntry {
  readonly sshPort?: number;
  readonly sshHostKey?: string;
}

/** Returns the Observation that the compute port defines. Connects to the run's ports. */
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
    ...((end?.reason === stackStopped || end?.reason === machineRestarted) && { isDisrupted: true }),
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

export function toProcessTree(name: string, directory: string, processes: ProcessesRecord | undefined): ProcessTree {
  const machines = processes?.machines ?? [];
  return {
    name,
    directory,
    volumes: () => heldVolumes(directory),
    leaders: machines.map(({ leader }) => leader),
    sandboxes: machines.flatMap(({ sandbox }) => sandbox ?? []),
    limits: readRun(directory)?.limits ?? noLimits,
  };
}

/** Returns the progress of a living run. A mark keeps it ready if a port stops answering later. */
function livingState(directory: string, started: boolean, ports: readonly PortStatus[]): RunState {
  if (!started) return "container";
  if (ports.length === 0 || isAnswered(directory)) return "ready";
  if (!ports.every(({ answers }) => answers)) return "probe";
  try {
    writeMark(directory, "answered", Date.now());
  } catch {
    // On a full disk the ports are probed again at the next observation.
  }
  return "ready";
}

export function isAnswered(directory: string): boolean {
  return readMark(directory, "answered") !== undefined;
}

function isCutOff(directory: string): boolean {
  return readMark(directory, "cut-off") !== undefined;
}

const machineRestarted = "the machine was restarted";

/** Concludes an end without `end.json`. Returns undefined if the run never began and may still start. */
function unwitnessedEnd(directory: string, processes: ProcessesRecord | undefined): EndRecord | undefined {
  const end = { started: processes?.started ?? false, exitCode: null, unwitnessed: true } as const;
  if (readMark(directory, "stopped") !== undefined) return { ...end, reason: stackStopped };
  if (!processes) return undefined;
  return { ...end, reason: processes.supervisor.boot === bootId() ? killedFromOutside : machineRestarted };
}

/** Returns the runs that mount this volume and may have living processes, or are about to start. */
export function runsMounting(home: string, volume: string): string[] {
  const runs = join(home, "runs");
  return listRunNames(runs).filter((name) => {
    const directory = join(runs, name);
    if (!readRun(directory)?.volumes.includes(volume)) return false;
    const { end, isEndUnwritten } = readStatus(directory);
    return !end || isEndUnwritten;
  });
}
