import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { say } from "../terminal/terminal.ts";
import { printable } from "../terminal/text.ts";
import { ended } from "./remote.ts";

interface UnpackOptions {
  readonly local: string;
  readonly paths: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * Unpacks these paths of a tar stream that a job made. The stream may hold other files, and links that lead later files
 * elsewhere in the directory. It is unpacked in an empty directory, and this machine's tar takes only the paths from
 * there.
 */
export async function unpackPaths(stream: Readable, { local, paths, signal }: UnpackOptions): Promise<void> {
  const draft = mkdtempSync(join(local, ".berth-pull-"));
  try {
    await unpack(stream, draft, signal);
    const words = ["-C", draft, "--null", "-T", "-", "-cf", "-"];
    const pack = spawn("tar", words, { stdio: "pipe", env: { ...process.env, COPYFILE_DISABLE: "1" }, detached: true });
    pack.stdin.on("error", () => undefined);
    pack.stdin.end(nulList(paths));
    await Promise.all([ended(pack, "tar", signal), unpack(pack.stdout, local, signal)]);
  } finally {
    removeDraft(draft);
  }
}

/** Returns the names for an option `-T` or `--files-from`. Each is neither an option nor a pattern. */
export function nulList(paths: readonly string[]): string {
  return paths.map((path) => `./${path}\0`).join("");
}

async function unpack(stream: Readable, directory: string, signal: AbortSignal): Promise<void> {
  const words = ["-xof", "-", "--no-same-permissions", "-C", directory];
  const child = spawn("tar", words, { stdio: ["pipe", "ignore", "pipe"], detached: true });
  child.stdin.on("error", () => void stream.destroy());
  stream.pipe(child.stdin);
  await ended(child, "tar", signal);
}

/** A directory that the job made read-only may stay. */
function removeDraft(draft: string): void {
  try {
    rmSync(draft, { recursive: true, force: true });
  } catch {
    say(`note: ${printable(draft)} cannot be removed`);
  }
}
