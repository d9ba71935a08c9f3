import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { findProcess, type ProcessIdentity } from "#process/supervisor/process-identity.ts";

/** Process as /proc shows it. */
export interface SeenProcess extends ProcessIdentity {
  readonly session: number;
  readonly command: string;
  readonly environment: ReadonlyMap<string, string>;
}

/** Whether /proc lists processes. Without it, no test can tell what is left. */
export const canListProcesses = process.platform === "linux";

/** Lists all processes except this one. */
export function listProcesses(): SeenProcess[] {
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  return pids.filter((pid) => pid !== process.pid).flatMap(seeProcess);
}

/** Lists the processes that carry the name of a run. */
export function processesOfRun(name: string): SeenProcess[] {
  return listProcesses().filter(({ environment }) => environment.get("BERTH_RUN") === name);
}

/** Lists the processes of a home, by a run's name or because command, environment or directory name the home. */
export function processesOfHome(home: string, runs: ReadonlySet<string>): SeenProcess[] {
  return listProcesses().filter(({ pid, command, environment }) => {
    if (runs.has(environment.get("BERTH_RUN") ?? "")) return true;
    const words = [command, ...environment.values(), formatText(() => readlinkSync(`/proc/${pid}/cwd`))];
    return words.some((word) => word.includes(home));
  });
}

/** Reads until the condition holds. After the limit, throws the last value. */
export async function eventually<Value>(
  read: () => Value | Promise<Value>,
  holds: (value: Value) => boolean,
  withinMs = PATIENCE_MS,
): Promise<Value> {
  const end = performance.now() + withinMs;
  for (;;) {
    const value = await read();
    if (holds(value)) return value;
    if (performance.now() > end)
      throw new Error(`The condition was not true within ${withinMs} ms: ${JSON.stringify(value)}`);
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

/** Returns an empty text if the process ends while it is read. */
function formatText(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}
