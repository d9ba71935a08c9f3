import { CliError, exitCodes } from "../failure.ts";

/** The commands without `--json`: what they print is for another reader. Each has what to use instead. */
const withoutJson = new Map([
  ["ssh", ["ssh prints what the shell or the command in the job prints", "See the job with: berth show --json NAME"]],
  ["completion", ["completion prints code for a shell", 'Use it with: eval "$(berth completion bash)"']],
  ["help", ["help prints text for people", "Leave --json out, or read docs/cli.md"]],
]);

/** Returns why a command refuses `--json`, if the line has it. */
export function refuseJson([command = "", ...words]: readonly string[]): CliError | undefined {
  const [reason, hint = ""] = withoutJson.get(command) ?? [];
  if (reason === undefined || !words.includes("--json")) return undefined;
  return new CliError(`There is no --json here: ${reason}`, exitCodes.usage, hint);
}
