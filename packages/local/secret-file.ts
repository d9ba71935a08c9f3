import { renameSync, writeFileSync } from "node:fs";

/** Writes a file with mode 600 unless it is there. Whoever comes second reads what the first has written. */
export function writeOnce(path: string, makeText: () => string): void {
  try {
    writeFileSync(path, makeText(), { mode: 0o600, flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** Replaces a file, mode 600, in one step. */
export function replaceFile(path: string, text: string): void {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, path);
}
