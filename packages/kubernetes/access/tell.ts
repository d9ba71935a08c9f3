import type { Compute, Notice } from "#core/ports/compute.ts";
import type { RunId } from "../names.ts";

/** Script that writes to each terminal in the background, because a terminal stopped with Ctrl-S blocks its writer. */
const script = 'for at in /dev/pts/[0-9]*; do printf "\\r\\n%s\\r\\n" "$1" >"$at" & done; wait';

/** Writes a notice to each terminal of the first machine. The notice of an end is skipped: it would delay the end. */
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
