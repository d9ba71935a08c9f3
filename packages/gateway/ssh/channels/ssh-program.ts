import type { ServerChannel } from "ssh2";
import { printableText } from "#core/text/printable-text.ts";
import type { Program, ProgramEnd } from "../../ports/reach.ts";
import { passOutput } from "../ssh-output.ts";

interface Joining {
  readonly hasTerminal: boolean;
  /** Shows why the run ends. `isCut`: the end of the run may have ended the program. */
  readonly sayGoodbye: (isCut: boolean) => Promise<void>;
}

/** Connects a program with the channel of its client. The channel ends with the program. */
export function joinProgram(channel: ServerChannel, program: Program, joining: Joining): void {
  const { input, output, errors } = program;
  channel.on("error", () => undefined);
  const stopOutput = passOutput(output, channel);
  if (errors) passOutput(errors, channel.stderr);
  channel.pipe(input, { end: !joining.hasTerminal });
  // The client reads no more.
  const closeOutput = () => {
    stopOutput();
    program.closeOutput?.();
  };
  if (!joining.hasTerminal) channel.once("eow", closeOutput);
  void endWith(channel, program, joining);
}

async function endWith(channel: ServerChannel, program: Program, { hasTerminal, sayGoodbye }: Joining): Promise<void> {
  const end = await program.ended.catch((error: unknown) => describe(error));
  if (hasTerminal) await sayGoodbye(mayBeCut(end));
  if (typeof end === "string") channel.stderr.write(`${printableText(end)}\r\n`);
  if (typeof end === "object" && "signal" in end) channel.exit(end.signal.slice("SIG".length));
  else channel.exit(typeof end === "string" ? 255 : end.exitCode);
  // End stderr first: ending the channel would cut off its pending output.
  channel.stderr.end(() => channel.end());
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : "The end of the program is unknown";
}

/** Exit codes for SIGHUP, SIGKILL and SIGTERM, one of which ends a program at the end of its run. */
const CUT_CODES: ReadonlySet<number> = new Set([1, 9, 15].map((signal) => 128 + signal));

/** Reports whether the end of the run may have ended the program. A shell that is left after Ctrl-C exits with 130. */
function mayBeCut(end: ProgramEnd | string): boolean {
  if (typeof end === "string") return true;
  return "exitCode" in end && CUT_CODES.has(end.exitCode);
}
