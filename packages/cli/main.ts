import { proposeCompletions, run } from "@stricli/core";
import { app } from "./app.ts";
import { exitCodes } from "./failure.ts";
import { wrapped } from "./terminal.ts";
import { splitAtDashes } from "./words-after-dashes.ts";

const { stdout, stderr } = process;

// The reader of a pipe may leave before the end, as `head` does.
for (const stream of [stdout, stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
}

// stricli prints an empty line for a command that ends with a code and without words.
const quiet = { write: (text: string) => text.trim() === "" || stderr.write(wrapped(text)) };
const typed = process.argv.slice(2);
const host = { stdout, stderr: quiet, env: process.env, exitCode: null as number | string | null };

if (typed[0] === "__complete") {
  const proposals = await proposeCompletions(app, typed.slice(1), { process: host });
  stdout.write(proposals.map(({ completion }) => `${completion}\n`).join(""));
} else {
  const words = splitAtDashes(typed[0] === "--version" ? ["version", ...typed.slice(1)] : typed);
  await run(app, words, { process: host });
  const code = Number(host.exitCode ?? 0);
  process.exitCode = code < 0 ? exitCodes.usage : code;
}
