import { exitCodes, QuietExit } from "../../failure.ts";
import { findJob } from "../../jobs/find-job.ts";
import { jobWord } from "../../jobs/job-words.ts";
import { connect } from "../../login/connect.ts";
import { interruptSignal, out, outJson, say, startLine } from "../../terminal/terminal.ts";
import { printable, printableLog } from "../../terminal/text.ts";

interface LogsFlags {
  readonly follow: boolean;
  readonly tail?: number;
  readonly raw: boolean;
  readonly json: boolean;
}

/** Prints what a job's command printed. */
export async function logs({ follow, tail, raw, json }: LogsFlags, word?: string): Promise<void> {
  const signal = interruptSignal();
  const berth = await connect({ signal });
  const job = await findJob(berth, word);
  // A file or another program gets the bytes as they are. A terminal would obey them.
  const isShown = process.stdout.isTTY && !raw;
  try {
    const onOutage = ({ message }: Error) => say(`${printable(message)}; trying again`);
    for await (const text of berth.jobs.logs(job.job_id, { follow, tail, signal, onOutage })) {
      if (json) outJson({ job_id: job.job_id, logs: text });
      if (!json) out(isShown ? printableLog(text) : text);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    const word = jobWord(job);
    startLine();
    say(`Detached. The job goes on. Come back with: berth logs -f ${word}. End it with: berth end ${word}`);
    throw new QuietExit(exitCodes.detached);
  }
}
