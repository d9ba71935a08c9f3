import { existsSync, linkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { syncNow } from "#process/volumes/durable.ts";

/**
 * Writes a file with mode 600 unless it exists. The file is complete or absent, even on a full disk and after a power
 * cut: half a key would block every later start.
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
