import { readAccess, seeJupyter } from "../runs/access-record.ts";
import { readStatus, toProcessTree } from "../runs/observation.ts";
import type { RunPlace } from "../runs/removal.ts";
import { findProcess, type ProcessStatus } from "../supervisor/process-identity.ts";
import { listMembers, type ProcessTree } from "../supervisor/process-tree.ts";

export async function countWork({ directory, name }: RunPlace): Promise<number | null> {
  const status = readStatus(directory);
  if (!status.supervisorLives) return 0;
  const terminals = await countBusyTerminals(toProcessTree(name, directory, status.processes));
  const origin = seeJupyter(directory)?.origin;
  const token = readAccess(directory)?.jupyter?.token;
  if (terminals > 0 || !origin || token === undefined) return terminals;
  return countKernels(origin, token, Date.now());
}

/** Counts the terminals with a program in the foreground. Returns 0 if the machine has no /proc. */
async function countBusyTerminals(tree: ProcessTree): Promise<number> {
  if (process.platform !== "linux") return 0;
  const statuses = (await listMembers(tree)).flatMap(({ identity }) => findProcess(identity.pid) ?? []);
  return statuses.filter(isBusy).length;
}

/** A shell at its prompt, which leads the session, is itself the foreground group (tcgetpgrp(3)). */
function isBusy({ pid, session, group, hasTerminal, foreground }: ProcessStatus): boolean {
  return pid === session && hasTerminal && foreground > 0 && foreground !== group;
}

const answeredWithinMs = 2_000;
const mostBytes = 1024 * 1024;

/** Counts working kernels. Returns null without a proper answer, which counts as use because a kernel may train. */
export async function countKernels(origin: string, token: string, now: number): Promise<number | null> {
  try {
    const headers = { authorization: `token ${token}` };
    const signal = AbortSignal.timeout(answeredWithinMs);
    const response = await fetch(`${origin}/api/kernels`, { headers, signal, redirect: "error" });
    const kernels: unknown = response.status === 200 ? JSON.parse(await readText(response)) : null;
    return Array.isArray(kernels) ? kernels.filter((kernel) => isAtWork(kernel, now)).length : null;
  } catch {
    return null;
  }
}

/** Environments may send endless answers. */
async function readText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > mostBytes) throw new Error("Too long");
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** A kernel to which no client ever connected stays in `starting`. */
const startsWithinMs = 10 * 60_000;

/** Reports whether a kernel works: it is busy, or it is in a state other than these two and was active lately. */
function isAtWork(kernel: unknown, now: number): boolean {
  const { execution_state: state, last_activity: at } = (kernel ?? {}) as Record<string, unknown>;
  if (state === "idle" || state === "dead") return false;
  if (state === "busy") return true;
  const activeAt = typeof at === "string" ? Date.parse(at) : Number.NaN;
  return !(now - activeAt > startsWithinMs);
}
