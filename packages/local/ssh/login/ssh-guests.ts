import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { findProcess, type ProcessStatus } from "#process/supervisor/process-identity.ts";

/** Programs that wait for their child inside. A signal that the child handles would end them. */
const wrappers: ReadonlySet<string> = new Set(["nsenter", "bwrap"]);

export async function findGuests(group: number): Promise<ProcessStatus[]> {
  return (await listed()).filter((found) => found.group === group && !wrappers.has(formatName(found.pid)));
}

const listed = shared(listProcesses);

/**
 * Deduplicates calls of a costly function, because clients choose how often they send signals. A call during a run
 * gets the result of the next run, which all calls until then share.
 */
export function shared<Result>(run: () => Promise<Result>): () => Promise<Result> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<Result> | undefined;
  const start = () => {
    next = undefined;
    return run();
  };
  return () => {
    next ??= running.then(start, start);
    running = next;
    return next;
  };
}

const SLICE = 64;

async function listProcesses(): Promise<ProcessStatus[]> {
  const found: ProcessStatus[] = [];
  for (const [count, name] of (await readdir("/proc")).entries()) {
    if (count % SLICE === 0) await setImmediate();
    const status = /^\d+$/.test(name) ? findProcess(Number(name)) : undefined;
    if (status) found.push(status);
  }
  return found;
}

function formatName(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}
