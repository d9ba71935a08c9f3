import { spawn } from "node:child_process";
import { closeSync, fsyncSync, openSync } from "node:fs";
import { lstat, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { systemPath } from "../sandbox/local-path.ts";

/** Resolves once these files and directory entries survive a power cut (fsync(2)). */
export async function sync(...paths: string[]): Promise<void> {
  for (const path of paths) {
    const file = await open(path, "r");
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

export function syncNow(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Syncs a whole tree: by sync of coreutils, which asks the file system once, or file by file. */
export async function syncTree(directory: string): Promise<void> {
  if (!(await byProgram(directory))) await byFile(directory);
}

async function byProgram(directory: string): Promise<boolean> {
  const child = spawn("sync", ["-f", "--", directory], { cwd: "/", env: { PATH: systemPath }, stdio: "ignore" });
  return new Promise((resolve) => {
    child.once("error", () => resolve(false)).once("close", (code) => resolve(code === 0));
  });
}

async function byFile(path: string): Promise<void> {
  const found = await lstat(path);
  if (found.isDirectory()) for (const name of await readdir(path)) await byFile(join(path, name));
  if (found.isDirectory() || found.isFile()) await sync(path);
}
