import { run } from "@stricli/core";
import { berthApp, commandNames } from "./app.ts";
import { expandHelp } from "./definitions/help-command.ts";
import { takeQuiet } from "./definitions/quiet-flag.ts";
import { refuseFlags } from "./definitions/refused-flags.ts";
import { splitAtDashes } from "./definitions/words-after-dashes.ts";
import { describeError, exitCodes } from "./failure.ts";
import { isOperator } from "./state/profiles.ts";
import { session } from "./state/session.ts";
import { beQuiet, wantsQuiet, wrapped } from "./terminal/terminal.ts";

const { stdout, stderr, env } = process;

/** Tells people on a terminal about a newer command line. Programs are not. */
async function sayWhatIsNewer(words: readonly string[]): Promise<void> {
  const { url } = session;
  if (url === undefined || !stdout.isTTY || !stderr.isTTY || words.includes("--json") || wantsQuiet()) return;
  const { noteNewerVersion } = await import("./state/deployment-version.ts");
  try {
    noteNewerVersion(url);
  } catch {
    // The state cannot be written. The command has reported that if it matters.
  }
}

// The reader of a pipe may leave before the end, as `head` does.
for (const stream of [stdout, stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
}

// stricli prints an empty line for a command that ends with a code and without words.
const quiet = { write: (text: string) => text.trim() === "" || stderr.write(wrapped(text)) };
const app = berthApp({ showsAdmin: isOperator() });
const typed = process.argv.slice(2);
const host = { stdout, stderr: quiet, env, exitCode: null as number | string | null };

if (typed[0] === "__complete") {
  const { proposeCandidates: proposeWords } = await import("./definitions/propose-words.ts");
  const proposals = await proposeWords(app, typed.slice(1), { process: host });
  stdout.write(proposals.map((word) => `${word}\n`).join(""));
} else if (typed[0] === "__look") {
  const { readDeployment: lookAtDeployment } = await import("./state/deployment-version.ts");
  await lookAtDeployment(typed[1] ?? "").catch(() => undefined);
} else {
  const { isQuiet, line: named } = takeQuiet(typed);
  if (isQuiet) beQuiet();
  const line = named[0] === "--version" ? ["version", ...named.slice(1)] : named;
  const words = splitAtDashes(expandHelp(line, commandNames));
  const refusal = refuseFlags(words);
  if (refusal) quiet.write(`${describeError(refusal)}\n`);
  else await run(app, words, { process: host });
  const code = Number(refusal?.exitCode ?? host.exitCode ?? 0);
  process.exitCode = code < 0 ? exitCodes.usage : code;
  await sayWhatIsNewer(words);
}
