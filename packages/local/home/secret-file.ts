import { existsSync, linkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { syncNow } from "#process/volumes/durable.ts";

/**
 * Writes a file with mode 600 unless it is there. Whoever comes second reads what the first has written. The file is
 * whole or absent, also on a full disk and after a power cut: half a key would keep every later start from making one,
 * and what was sealed with a key that is lost nobody opens.
 */
export function writeOnce(path: string, makeText: () => string): void {
  if (existsSync(path)) return;
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, makeText(), { mode: 0o600 });
    syncNow(draft);
    linkSync(draft, path);
    syncNow(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Replaces a file, mode 600, in one step: whole also after a power cut. */
export function replaceFile(path: string, text: string): void {
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, text, { mode: 0o600 });
    syncNow(draft);
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
}
