import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

/** Pause between tries. A kubelet tries once a second. */
const againMs = 200;

/** Tries a command until it succeeds. Returns false if `signal` aborts first. */
export async function probeSucceeds(
  [command = "", ...args]: readonly string[],
  options: { readonly env: Record<string, string>; readonly cwd: string },
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    const passed = await promisify(execFile)(command, args, { ...options, signal }).then(
      () => true,
      () => false,
    );
    if (passed) return true;
    await sleep(againMs, undefined, { signal }).catch(() => undefined);
  }
  return false;
}
