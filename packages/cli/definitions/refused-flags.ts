import { CliError, exitCodes } from "../failure.ts";

/** The commands without `--json`: what they print is for another reader. Each has what to use instead. */
const withoutJson = new Map([
  ["ssh", ["ssh prints what the shell or the command in the job prints", "See the job with: berth show --json NAME"]],
  ["completion", ["completion prints code for a shell", 'Use it with: eval "$(berth completion bash)"']],
  ["help", ["help prints text for people", "Leave --json out, or read docs/cli.md"]],
]);

const logsHint = "Print the last lines with: berth logs --tail 50 NAME, and those that come with: berth logs -f NAME";

/** Returns why a command refuses a flag of the line that users of other products, or of other commands, expect. */
export function refuseFlags([command = "", ...words]: readonly string[]): CliError | undefined {
  if (command === "logs" && words.some((word) => /^--since(-time)?(=|$)/.test(word)))
    return new CliError("There is no --since: a log does not hold the times of its lines", exitCodes.usage, logsHint);
  const [reason, hint = ""] = withoutJson.get(command) ?? [];
  if (reason === undefined || !words.includes("--json")) return undefined;
  return new CliError(`There is no --json here: ${reason}`, exitCodes.usage, hint);
}
