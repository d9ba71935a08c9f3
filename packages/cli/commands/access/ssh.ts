import { wordsAfterDashes } from "../../definitions/words-after-dashes.ts";
import { describeError, exitCodes, QuietExit } from "../../failure.ts";
import { findJob } from "../../jobs/find-job.ts";
import { connect } from "../../login/connect.ts";
import { runOnJob, sshTarget } from "../../ssh/ssh-session.ts";
import { interruptSignal, sayError } from "../../terminal/terminal.ts";

interface SshFlags {
  readonly agent: boolean;
  readonly acceptNewHostKey: boolean;
}

/** Opens a shell in a job, or runs a command there and ends with its exit code. */
export async function ssh(flags: SshFlags, word?: string): Promise<void> {
  const command = wordsAfterDashes();
  const signal = interruptSignal();
  const code = await open(word, flags, command, signal).catch((error: unknown) => {
    // Codes below 255 are those of the command in the job.
    if (command.length === 0 || error instanceof QuietExit) throw error;
    sayError(describeError(error));
    return exitCodes.ownFailure;
  });
  throw new QuietExit(code);
}

async function open(
  word: string | undefined,
  { agent, ...flags }: SshFlags,
  command: readonly string[],
  signal: AbortSignal,
) {
  const berth = await connect({ signal });
  const { job_id } = await findJob(berth, word);
  const target = await sshTarget(berth, job_id, signal, flags);
  const sshArguments = [...target.options, ...(agent ? ["-A"] : []), "-p", target.port];
  return runOnJob(target, "ssh", [...sshArguments, "--", `${target.user}@${target.host}`, ...command]);
}
