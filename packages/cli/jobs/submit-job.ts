import { setImmediate as nextTurn } from "node:timers/promises";
import type { Berth } from "../../sdk/berth.ts";
import { BerthError, type ErrorCode } from "../../sdk/errors.ts";
import { isEnded } from "../../sdk/job-state.ts";
import type { SubmitJob, SubmittedJob } from "../../sdk/jobs.ts";
import { exitCodes } from "../failure.ts";
import { ownSshKey } from "../ssh/ssh-key.ts";
import { rememberKey } from "../state/job-entries.ts";
import { noteSubmit } from "../state/pending-submits.ts";
import { say, startLine } from "../terminal/terminal.ts";
import { printable } from "../terminal/text.ts";

/** Submits a job that this machine's own SSH key may enter. */
export async function submitJob(berth: Berth, request: SubmitJob, signal?: AbortSignal) {
  const { publicKey } = await beforeSubmit(signal, async () => ownSshKey());
  const submitted = await submitOnce(berth, { ...request, ssh_public_keys: [publicKey] }, signal);
  noteKey(submitted, publicKey);
  return submitted;
}

/** The job exists, so a failure is only a note. A later session then sends the key again. */
function noteKey(job: SubmittedJob, publicKey: string): void {
  try {
    rememberKey(job, publicKey);
  } catch (error) {
    say(`note: ${printable((error as Error).message)}`);
  }
}

/** Runs a step before a submit. An interrupt ends the process at once, since there is no job yet. */
export async function beforeSubmit<Value>(signal: AbortSignal | undefined, run: () => Promise<Value>): Promise<Value> {
  const leave = () => {
    startLine();
    say("Nothing was submitted.");
    process.exit(exitCodes.detached);
  };
  signal?.addEventListener("abort", leave);
  try {
    return await run();
  } catch (error) {
    // Ctrl-C also ends a program that the step waited for, and the signal comes after its end.
    await nextTurn();
    throw error;
  } finally {
    signal?.removeEventListener("abort", leave);
  }
}

/** Answers that leave it open whether there is a job. */
const openOutcomes: readonly ErrorCode[] = ["unreachable", "unreadable", "unavailable", "internal"];

async function submitOnce(berth: Berth, request: SubmitJob, signal: AbortSignal | undefined): Promise<SubmittedJob> {
  const { idempotencyKey, isRepeat, settle } = await beforeSubmit(signal, () => noteSubmit(berth.url, request));
  if (isRepeat) say("Asking again for a submit that was left before its answer.");
  try {
    const submitted = await untilAnswered(signal, () => berth.jobs.submit(request, { idempotencyKey }));
    settle();
    const isOver = isRepeat && isEnded((await berth.jobs.get(submitted.job_id)).status);
    if (!isOver) return submitted;
    say("That job has ended, so another one is submitted.");
    return await submitOnce(berth, request, signal);
  } catch (error) {
    const isOpen = error instanceof BerthError && openOutcomes.includes(error.code);
    if (!isOpen) settle();
    throw error;
  }
}

/**
 * Waits for the answer despite an interrupt, because a lost answer leaves open whether the job exists. A second
 * interrupt quits.
 */
async function untilAnswered<Value>(signal: AbortSignal | undefined, submit: () => Promise<Value>): Promise<Value> {
  const onInterrupt = () => {
    startLine();
    say("Waiting for the answer to the submit. Another Ctrl-C leaves without it.");
  };
  const onExit = () => {
    startLine();
    say("It is not known whether the job was submitted. See it with: berth ls");
    say("The same berth up asks for that job again, and makes no second one. End it with: berth end");
  };
  signal?.addEventListener("abort", onInterrupt);
  if (signal) process.on("exit", onExit);
  try {
    return await submit();
  } finally {
    process.off("exit", onExit);
    signal?.removeEventListener("abort", onInterrupt);
  }
}
