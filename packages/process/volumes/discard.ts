import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Deletes a directory, even without permissions or deeper than PATH_MAX (limits.h), where Node fails and `rm` does not.
 * The copier of a killed process may still be writing; the next start deletes what remains.
 */
export async function discard(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    await run("chmod", ["-R", "u+rwX", "--", path]).catch(() => undefined);
    await run("rm", ["-rf", "--", path]).catch(() => undefined);
  }
}
