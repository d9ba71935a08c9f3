import type { Compute, Notice } from "#core/ports/compute.ts";
import type { RunId } from "../names.ts";

/** Each terminal by itself: one that was stopped with Ctrl-S takes nothing. */
const script = 'for at in /dev/pts/[0-9]*; do printf "\\r\\n%s\\r\\n" "$1" >"$at" & done; wait';

/**
 * Writes a notice to each terminal of the run's first machine. An end is not told: one more command would hold it up, and
 * needs a container that still answers.
 */
export async function tellTerminals(
  startExec: Compute["startExec"],
  { uid, run }: RunId,
  { kind, words, at }: Notice,
): Promise<void> {
  if (kind === "end") return;
  await startExec(uid, run, {
    id: `notice-${at}`,
    words: ["/bin/sh", "-c", script, "sh", `[berth] ${words}`],
    stdin: "",
    env: {},
    directory: undefined,
    timeoutMs: 5_000,
  });
}
