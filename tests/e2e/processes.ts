import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { findProcess, type ProcessIdentity } from "#process/supervisor/process-identity.ts";

/** A process as /proc shows it. */
export interface SeenProcess extends ProcessIdentity {
  readonly session: number;
  readonly command: string;
  readonly environment: ReadonlyMap<string, string>;
}

/** Whether there is a /proc to look for processes in; without it nothing can be said about what is left. */
export const canListProcesses = process.platform === "linux";

/** Every process but this one. */
export function listProcesses(): SeenProcess[] {
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  return pids.filter((pid) => pid !== process.pid).flatMap(seeProcess);
}

/** The processes of one run: those that carry its name. */
export function processesOfRun(name: string): SeenProcess[] {
  return listProcesses().filter(({ environment }) => environment.get("BERTH_RUN") === name);
}

/** All that belongs to a home: by a run's name, or because command, environment or directory speak of it. */
export function processesOfHome(home: string, runs: ReadonlySet<string>): SeenProcess[] {
  return listProcesses().filter(({ pid, command, environment }) => {
    if (runs.has(environment.get("BERTH_RUN") ?? "")) return true;
    const words = [command, ...environment.values(), formatText(() => readlinkSync(`/proc/${pid}/cwd`))];
    return words.some((word) => word.includes(home));
  });
}

/** Reads until it holds what was waited for; throws what it read last when that took too long. */
export async function eventually<Value>(
  read: () => Value | Promise<Value>,
  holds: (value: Value) => boolean,
  withinMs = PATIENCE_MS,
): Promise<Value> {
  const end = performance.now() + withinMs;
  for (;;) {
    const value = await read();
    if (holds(value)) return value;
    if (performance.now() > end) throw new Error(`Not so after ${withinMs} ms: ${JSON.stringify(value)}`);
    await sleep(30);
  }
}

function seeProcess(pid: number): SeenProcess[] {
  const variables = formatText(() => readFileSync(`/proc/${pid}/environ`, "utf8")).split("\0");
  const command = formatText(() => readFileSync(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ");
  const found = findProcess(pid);
  if (!found) return [];
  const environment = new Map(variables.map((variable) => splitAtFirst(variable)));
  return [{ ...found, command, environment }];
}

function splitAtFirst(variable: string): [string, string] {
  const at = variable.indexOf("=");
  return [variable.slice(0, at), variable.slice(at + 1)];
}

/** A process may end while it is being read. */
function formatText(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}
