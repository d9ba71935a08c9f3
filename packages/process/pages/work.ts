import { readAccess, seeJupyter } from "../runs/access-record.ts";
import { readStatus, toProcessTree } from "../runs/observation.ts";
import type { RunPlace } from "../runs/removal.ts";
import { findProcess, type ProcessStatus } from "../supervisor/process-identity.ts";
import { listMembers, type ProcessTree } from "../supervisor/process-tree.ts";
import { countKernels } from "./kernels.ts";

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
  return statuses.filter(isAtWork).length;
}

/** A shell at its prompt, which leads the session, is itself the foreground group (tcgetpgrp(3)). */
function isAtWork({ pid, session, group, hasTerminal, foreground }: ProcessStatus): boolean {
  return pid === session && hasTerminal && foreground > 0 && foreground !== group;
}
