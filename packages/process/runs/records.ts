import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { RunPort } from "#core/ports/compute.ts";
import { noLimits, type RunLimits } from "../sandbox/limits.ts";
import type { ProcessIdentity } from "../supervisor/process-identity.ts";
import { readWhole, writeWhole } from "./run-directory.ts";

export type Isolation = "bubblewrap" | "none";

export type Network = "own" | "shared";

/** `run.json`: the run without secrets. Written once, together with the directory. */
export interface RunRecord {
  readonly key: string;
  readonly image: string;
  readonly nodes: readonly string[];
  readonly isolation: Isolation;
  readonly network: Network;
  readonly volumes: readonly string[];
  readonly ports: readonly RunPort[];
  /** This machine has python3 but no `python`: in this run `python` is a program of Berth that starts python3. */
  readonly hasSparePython: boolean;
  readonly limits: RunLimits;
}

export interface MachineRecord {
  readonly leader: ProcessIdentity;
  readonly sandbox: ProcessIdentity | null;
}

/** `processes.json`: once this file exists, the run cannot start again. */
export interface ProcessesRecord {
  readonly supervisor: ProcessIdentity;
  readonly started: boolean;
  readonly machines: readonly MachineRecord[];
}

/** `end.json`: written when no process of the run lives. */
export interface EndRecord {
  readonly started: boolean;
  readonly exitCode: number | null;
  readonly reason: string | null;
  /** No supervisor saw the end: a later observation concluded it. */
  readonly unwitnessed?: true | undefined;
}

/**
 * Small file in a run's directory. The supervisor reads these four every second and on SIGUSR2:
 * `removal` (kill the run at this time and remove it), `termination` (kill it at this time and keep its directory),
 * `until` (end it at this time), `stopped` (the stack was stopped at this time).
 * The others are notes for observers: `answered` (all ports have answered once), `silent` (the supervisor has not
 * answered since then), `cut-off` (the run's network is not connected to the machine's), `resized` (the revision of its
 * limits, and not a time). Every other mark holds ms since the epoch.
 */
export type Mark = "removal" | "termination" | "until" | "stopped" | "answered" | "silent" | "cut-off" | "resized";

export function readRun(directory: string): RunRecord | undefined {
  const found = readObject(directory, "run.json") ?? {};
  const { key, image, nodes, isolation, network, volumes, ports, hasSparePython, limits } = found;
  if (typeof key !== "string" || typeof image !== "string" || !Array.isArray(nodes)) return undefined;
  const names = nodes.filter((node) => typeof node === "string");
  return {
    key,
    image,
    nodes: names,
    isolation: isolation === "bubblewrap" ? "bubblewrap" : "none",
    network: network === "own" ? "own" : "shared",
    volumes: Array.isArray(volumes) ? volumes.filter((volume) => typeof volume === "string") : [],
    ports: Array.isArray(ports) ? (ports as RunPort[]) : [],
    hasSparePython: hasSparePython === true,
    limits: (limits ?? noLimits) as RunLimits,
  };
}

export function readProcesses(directory: string): ProcessesRecord | undefined {
  const { supervisor, started, machines } = readObject(directory, "processes.json") ?? {};
  const identity = parseIdentity(supervisor);
  if (!identity || !Array.isArray(machines)) return undefined;
  return { supervisor: identity, started: started === true, machines: machines.flatMap(parseMachine) };
}

export function writeProcesses(directory: string, record: ProcessesRecord): void {
  writeWhole(directory, "processes.json", JSON.stringify(record));
}

export function readEnd(directory: string): EndRecord | undefined {
  const found = readObject(directory, "end.json");
  if (!found) return undefined;
  const { started, exitCode, reason, unwitnessed } = found;
  return {
    started: started === true,
    exitCode: typeof exitCode === "number" ? exitCode : null,
    reason: typeof reason === "string" ? reason : null,
    unwitnessed: unwitnessed === true ? true : undefined,
  };
}

/** Returns ms since the epoch, or null. An unwitnessed end may be hours older. */
export function endWrittenAt(directory: string): number | null {
  return statSync(join(directory, "end.json"), { throwIfNoEntry: false })?.mtimeMs ?? null;
}

export function writeEnd(directory: string, record: EndRecord): void {
  writeWhole(directory, "end.json", JSON.stringify(record));
}

export function readMark(directory: string, mark: Mark): number | undefined {
  const text = readWhole(directory, mark);
  return text === undefined ? undefined : Number(text) || 0;
}

/** Returns false if the run's directory is gone. */
export function writeMark(directory: string, mark: Mark, value: number): boolean {
  return writeWhole(directory, mark, String(value));
}

export function forgetMark(directory: string, mark: Mark): void {
  rmSync(join(directory, mark), { force: true });
}

export function parseIdentity(value: unknown): ProcessIdentity | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { pid, startedAt, boot } = value as Readonly<Record<string, unknown>>;
  if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid < 2) return undefined;
  if (typeof startedAt !== "string" || typeof boot !== "string") return undefined;
  return { pid, startedAt, boot };
}

function parseMachine(value: unknown): MachineRecord[] {
  if (typeof value !== "object" || value === null) return [];
  const { leader, sandbox } = value as Readonly<Record<string, unknown>>;
  const identity = parseIdentity(leader);
  return identity ? [{ leader: identity, sandbox: parseIdentity(sandbox) ?? null }] : [];
}

export function readObject(directory: string, name: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(readWhole(directory, name) ?? "null");
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}
