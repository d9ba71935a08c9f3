import { run } from "@stricli/core";
import { app } from "./app.ts";
import { exitCodes } from "./failure.ts";
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
const quiet = { write: (text: string) => text.trim() === "" || stderr.write(text) };
const words = splitAtDashes(process.argv.slice(2).map((word) => (word === "--version" ? "version" : word)));
const host: { exitCode?: number | string | null } = {};
await run(app, words, {
  process: {
    stdout,
    stderr: quiet,
    env: process.env,
    get exitCode() {
      return host.exitCode ?? null;
    },
    set exitCode(code) {
      host.exitCode = code;
    },
  },
});
const code = Number(host.exitCode ?? 0);
process.exitCode = code < 0 ? exitCodes.usage : code;
