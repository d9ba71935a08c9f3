import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hasCode, namesIn, randomName } from "../files.ts";
import { parseIdentity, readObject } from "../runs/records.ts";
import { writeWhole } from "../runs/run-directory.ts";
import { findProcess, isAlive, type ProcessIdentity } from "./process-identity.ts";

const folder = "sessions";

/** Marks a terminal or an exec as a session, until its process ends or the returned function is called. */
export function openSession(directory: string, pid: number | undefined): () => void {
  const found = pid === undefined ? undefined : findProcess(pid);
  if (!found) return () => undefined;
  const { startedAt, boot } = found;
  const mark: ProcessIdentity = { pid: found.pid, startedAt, boot };
  const name = randomName();
  const place = join(directory, folder);
  try {
    if (!makePlace(place)) return () => undefined;
    writeWhole(place, name, JSON.stringify(mark));
  } catch {
    // On a full disk the session continues uncounted.
    return () => undefined;
  }
  return () => rmSync(join(place, name), { force: true });
}

export function countSessions(directory: string): number {
  const place = join(directory, folder);
  const open = namesIn(place).filter((name) => {
    // A draft of a mark.
    if (name.startsWith(".")) return false;
    const process = parseIdentity(readObject(place, name));
    if (process && isAlive(process)) return true;
    rmSync(join(place, name), { force: true });
    return false;
  });
  return open.length;
}

function makePlace(place: string): boolean {
  try {
    mkdirSync(place, { mode: 0o700 });
    return true;
  } catch (error) {
    return hasCode(error, "EEXIST");
  }
}
