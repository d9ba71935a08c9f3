import { exitCodes } from "../failure.ts";
import { isInteractive } from "../terminal/terminal.ts";

export interface Interrupts {
  /** Aborted once the user or the system wants this process to stop. */
  readonly signal: AbortSignal;
  /** Whether the user chose to end the job instead of keeping it. */
  wantsEnd(): boolean;
  /** Resolves at once, or after the current question. */
  quiet(): Promise<void>;
}

/** On a terminal, Ctrl-C asks whether to end the job or to detach. Elsewhere Ctrl-C and SIGTERM detach. */
export function watchInterrupts(): Interrupts {
  const abort = new AbortController();
  let question: Promise<void> | undefined;
  let isEndWanted = false;
  const stop = () => {
    if (abort.signal.aborted) process.exit(exitCodes.detached);
    abort.abort(new Error("interrupted"));
  };
  const onCtrlC = () => {
    if (question || abort.signal.aborted || !isInteractive()) return stop();
    question = chooseByTerminal().then((choice) => {
      question = undefined;
      isEndWanted = choice === "end";
      if (choice !== "continue") stop();
    });
  };
  process.on("SIGINT", onCtrlC);
  for (const name of ["SIGTERM", "SIGHUP"] as const) process.on(name, stop);
  return { signal: abort.signal, wantsEnd: () => isEndWanted, quiet: async () => question };
}

type Choice = "end" | "detach" | "continue";

/** A second Ctrl-C detaches. */
async function chooseByTerminal(): Promise<Choice> {
  const { createInterface } = await import("node:readline");
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  return new Promise((resolve) => {
    const settle = (choice: Choice) => {
      resolve(choice);
      lines.close();
    };
    lines.once("SIGINT", () => settle("detach"));
    lines.once("close", () => settle("detach"));
    process.stderr.write("\n");
    lines.question("End the job, detach from it, or continue? [e/d/C] ", (answer) => {
      const letter = answer.trim().toLowerCase()[0];
      settle(letter === "e" ? "end" : letter === "d" ? "detach" : "continue");
    });
  });
}
