import { join } from "node:path";
import { readAccess, runsOfLogin } from "../runs/access-record.ts";
import type { Inside } from "../runs/inside.ts";
import { readStatus } from "../runs/observation.ts";
import { askInside } from "../supervisor/control-socket.ts";
import { isAlive } from "../supervisor/process-identity.ts";

export interface SshRun {
  readonly name: string;
  readonly keys: readonly string[];
}

/** Two jobs may have the same SSH user name by chance. */
export function findSshRuns(home: string, login: string): SshRun[] {
  const runs = join(home, "runs");
  return runsOfLogin(runs, login).flatMap((name) => {
    const access = readAccess(join(runs, name));
    return access?.login === login && isOpen(home, name) ? [{ name, keys: access.keys }] : [];
  });
}

export function admits(home: string, name: string, key: string): boolean {
  return (readAccess(join(home, "runs", name))?.keys.includes(key) ?? false) && isOpen(home, name);
}

/** Throws if the run has ended. */
export async function enterRun(home: string, name: string): Promise<Inside> {
  if (!isOpen(home, name)) throw new Error("The environment has ended");
  const inside = await askInside(join(home, "runs", name));
  if (inside.sandbox && !isAlive(inside.sandbox)) throw new Error("The environment has ended");
  return inside;
}

function isOpen(home: string, name: string): boolean {
  const { processes, supervisorLives, end, removal } = readStatus(join(home, "runs", name));
  return supervisorLives && processes?.started === true && !end && removal === undefined;
}
