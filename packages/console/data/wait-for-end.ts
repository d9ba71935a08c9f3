import { actionNumber, findAction } from "../../sdk/act-on-job.ts";
import type { DiskRequested } from "../../sdk/disks.ts";
import { ActionFailedError, BerthError, NotFoundError } from "../../sdk/errors.ts";
import type { JobActionRequested } from "../../sdk/jobs.ts";
import { longestDelayMs } from "../../sdk/outage.ts";
import { sleep } from "../../sdk/retry.ts";
import { berth } from "./client.ts";
import { needsLogin } from "./lost-session.ts";
import { untilVisible } from "./visible.ts";

/** The record no longer shows how the act went. */
export class LostOutcomeError extends Error {}

/** Waits until the record of a job says that a requested action is done. Throws if it failed. */
export async function waitForAction(requested: JobActionRequested): Promise<void> {
  const number = actionNumber(requested);
  return waitForEnd(async () => {
    const job = await berth.jobs.get(requested.job_id);
    const action = findAction(job, number);
    // The record drops its oldest actions. Numbers increase, so a higher one means that this action was dropped.
    if (!action && job.actions.some(({ id }) => id > number)) throw new LostOutcomeError();
    return action?.status === "done";
  });
}

/** Waits until a requested operation on a disk is completed. Throws if it failed. */
export function waitForOperation(requested: DiskRequested): Promise<void> {
  return waitForEnd(async () => (await berth.disks.operation(requested)).completed);
}

/**
 * Reads until an act that the API has accepted is done. A failed read says nothing about the act, so keep waiting: the
 * stack may be away for hours.
 */
async function waitForEnd(readIsDone: () => Promise<boolean>): Promise<void> {
  for (let delayMs = 250; ; delayMs = Math.min(delayMs * 1.5, longestDelayMs)) {
    try {
      if (await readIsDone()) return;
    } catch (error) {
      if (isFinal(error)) throw error;
      if (needsLogin(error)) delayMs = longestDelayMs;
    }
    await sleep(delayMs);
    await untilVisible();
  }
}

/** Reports whether an error says that the act failed or left no record, or is a fault of this page. */
function isFinal(error: unknown): boolean {
  return error instanceof ActionFailedError || error instanceof NotFoundError || !(error instanceof BerthError);
}
