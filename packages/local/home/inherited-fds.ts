import { closeSync, readdirSync, readFileSync } from "node:fs";

/** The flag of descriptors that a program which is started does not get (open(2)), as /proc shows it. */
const CLOSE_ON_EXEC = 0o2000000;

/**
 * Closes the files that whoever started this process had left open: each environment would get them too, and could read
 * and write what they are, whatever its rights. To be called first. Node's own are never passed on.
 */
export function closeInherited(): void {
  for (const descriptor of passedOn()) {
    try {
      closeSync(descriptor);
    } catch {
      // It was the one with which the list was read.
    }
  }
}

function passedOn(): number[] {
  try {
    const open = readdirSync("/proc/self/fd").map(Number);
    return open.filter((descriptor) => descriptor > 2 && isPassedOn(descriptor));
  } catch {
    // Where there is no /proc nobody can tell.
    return [];
  }
}

function isPassedOn(descriptor: number): boolean {
  try {
    const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8"))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
  } catch {
    return false;
  }
}
