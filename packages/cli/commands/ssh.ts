import { connect } from "../connect.ts";
import { describeError, exitCodes, QuietExit } from "../failure.ts";
import { findJob } from "../find-job.ts";
import { runOpenSsh, sshTarget } from "../ssh-session.ts";
import { interruptSignal, say } from "../terminal.ts";
import { wordsAfterDashes } from "../words-after-dashes.ts";

interface SshFlags {
  readonly agent: boolean;
}

/** Opens a shell in a job, or runs a command there and ends with its exit code. */
export async function ssh({ agent }: SshFlags, word?: string): Promise<void> {
  const command = wordsAfterDashes();
  const signal = interruptSignal();
  const code = await open(word, agent, command, signal).catch((error: unknown) => {
    // Codes below 255 are those of the command in the job.
    if (command.length === 0 || error instanceof QuietExit) throw error;
    say(describeError(error));
    return exitCodes.ownFailure;
  });
  throw new QuietExit(code);
}

async function open(word: string | undefined, agent: boolean, command: readonly string[], signal: AbortSignal) {
  const berth = await connect();
  const { job_id } = await findJob(berth, word);
  const { user, host, port, options } = await sshTarget(berth, job_id, signal);
  const own = [...options, ...(agent ? ["-A"] : []), "-p", port];
  return runOpenSsh("ssh", [...own, "--", `${user}@${host}`, ...command]);
}
