import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Frees what a directory holds, piece by piece, since whoever calls this may have other runs to look after. A command
 * may have left directories that even their owner cannot list, or so deep ones that no path names them (limits.h,
 * PATH_MAX), which Node gives up at and `rm` does not; the copier of a process that was killed may still be writing.
 * What stays is tried again at a next start.
 */
export async function discard(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    await run("chmod", ["-R", "u+rwX", "--", path]).catch(() => undefined);
    await run("rm", ["-rf", "--", path]).catch(() => undefined);
  }
}
