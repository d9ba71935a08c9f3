import { errorFor } from "./errors.ts";
import type { Job, JobAction, JobActionRequested, Jobs } from "./jobs.ts";
import { readUnlessAway } from "./outage.ts";
import { sleep } from "./retry.ts";
import type { CreateOptions } from "./transport.ts";

export type ActInput =
  | { readonly action: "cancel" | "enable_jupyter" | "disable_jupyter" }
  | { readonly action: "extend"; readonly hours: number }
  | { readonly action: "add_user"; readonly github_username: string }
  | { readonly action: "add_user"; readonly public_key: string };

export interface ActOptions extends CreateOptions {
  /** 2 minutes by default. */
  readonly timeoutMs?: number;
}

export interface ActOutcome {
  readonly action: JobAction;
  readonly job: Job;
}

/**
 * Requests an action, then reads the job until the action is `done` or `failed`. Outages after the request do not fail
 * it.
 */
export async function actOnJob(jobs: Jobs, id: string, input: ActInput, options: ActOptions): Promise<ActOutcome> {
  const { signal, timeoutMs = 120_000 } = options;
  const deadline = performance.now() + timeoutMs;
  const requested = await request(jobs, id, input, options);
  const number = actionNumber(requested);
  for (let delayMs = 250; ; delayMs = Math.min(delayMs * 2, 2000)) {
    const job = await readUnlessAway(() => jobs.get(requested.job_id, { signal }));
    const action = job && findAction(job, number);
    if (job && action?.status === "done") return { action, job };
    if (performance.now() > deadline) throw timeout(input, action);
    await sleep(delayMs, signal);
  }
}

function request(jobs: Jobs, id: string, input: ActInput, options: ActOptions): Promise<JobActionRequested> {
  switch (input.action) {
    case "cancel":
      return jobs.cancel(id, options);
    case "extend":
      return jobs.extend(id, input.hours, options);
    case "add_user": {
      const { action: _, ...user } = input;
      return jobs.addUser(id, user, options);
    }
    case "enable_jupyter":
    case "disable_jupyter":
      return jobs.setJupyter(id, input.action === "enable_jupyter", options);
  }
}

/** The published answer shows the number of the request only in its text. */
export function actionNumber({ message }: JobActionRequested): number {
  const [, digits] = /\(message ID: (\d+)\)$/.exec(message) ?? [];
  if (digits === undefined) {
    throw errorFor(`The answer names no request: ${message}`, { status: 200, code: "unreadable" });
  }
  return Number(digits);
}

/** Returns the action of this number. Throws if it failed. */
export function findAction({ actions }: Pick<Job, "actions">, number: number): JobAction | undefined {
  const found = actions.find(({ id }) => id === number);
  if (found?.status !== "failed") return found;
  throw errorFor(found.error ?? `${found.action} failed`, { status: 200, code: "action_failed" });
}

function timeout({ action }: ActInput, found: JobAction | undefined): Error {
  const reason = found?.error ? `: ${found.error}` : "";
  return errorFor(`${action} is not done yet${reason}`, { status: 200, code: "timeout" });
}
