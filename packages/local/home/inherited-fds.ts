import { closeSync, readdirSync, readFileSync } from "node:fs";

/** Flag of descriptors that are closed on exec (open(2)), as /proc shows it. */
const CLOSE_ON_EXEC = 0o2000000;

/**
 * Closes inherited file descriptors, which every environment would inherit with full access. Call this first. Node's
 * own descriptors are never inherited.
 */
export function closeInherited(): void {
  for (const descriptor of passedOn()) {
    try {
      closeSync(descriptor);
    } catch {
      // The descriptor that read the list is closed already.
    }
  }
}

function passedOn(): number[] {
  try {
    const open = readdirSync("/proc/self/fd").map(Number);
    return open.filter((descriptor) => descriptor > 2 && isPassedOn(descriptor));
  } catch {
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
