import { createInterface } from "node:readline";
import { cancelled, type Questions } from "./questions.ts";

/** Questions of one line each, for screen readers and terminals that cannot move the cursor. */
export function plainQuestions(signal: AbortSignal): Questions {
  const read = (prompt: string) => readLine(prompt, signal);
  const say = (text: string) => process.stderr.write(`${text}\n`);
  return {
    async choose(message, choices) {
      const open = choices.filter(({ disabledBecause }) => disabledBecause === undefined);
      say(message);
      for (const [at, { label }] of open.entries()) say(`  ${at + 1}  ${label.trimEnd()}`);
      for (const { label, disabledBecause } of choices)
        if (disabledBecause !== undefined) say(`  -  ${label.trimEnd()}: ${disabledBecause}`);
      for (;;) {
        const line = await read(`Number, 1 to ${open.length} [1]: `);
        const choice = open[line === "" ? 0 : Number(line) - 1];
        if (choice) return choice.value;
      }
    },
    async line(message, { usual, placeholder = usual, problem }) {
      for (;;) {
        const line = await read(`${message} [${placeholder}]: `);
        const wrong = line === "" ? undefined : problem?.(line);
        if (wrong === undefined) return line === "" ? usual : line;
        say(wrong);
      }
    },
    async confirm(message) {
      return /^(y(es)?)?$/i.test(await read(`${message} [Y/n] `));
    },
  };
}

/** The terminal stays in its usual mode, so Ctrl-C is a signal. */
async function readLine(prompt: string, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  const stop = () => reject(cancelled());
  signal.addEventListener("abort", stop);
  lines.once("close", stop).question(prompt, resolve);
  try {
    if (signal.aborted) throw cancelled();
    return (await promise).trim();
  } finally {
    signal.removeEventListener("abort", stop);
    lines.off("close", stop).close();
  }
}
