import { actionNumber, findAction } from "../../sdk/act-on-job.ts";
import type { DiskRequested } from "../../sdk/disks.ts";
import { ActionFailedError, BerthError, NotFoundError } from "../../sdk/errors.ts";
import type { JobActionRequested } from "../../sdk/jobs.ts";
import { longestDelayMs } from "../../sdk/outage.ts";
import { sleep } from "../../sdk/retry.ts";
import { berth } from "./client.ts";
import { untilVisible } from "./visible.ts";

/** Waits until the record of a job says that a requested action is done. Throws if it failed. */
export async function waitForAction(requested: JobActionRequested): Promise<void> {
  const number = actionNumber(requested);
  return waitForEnd(async () => findAction(await berth.jobs.get(requested.job_id), number)?.status === "done");
}

/** Waits until a requested operation on a disk is completed. Throws if it failed. */
export function waitForOperation(requested: DiskRequested): Promise<void> {
  return waitForEnd(async () => (await berth.disks.settle(requested)).completed);
}

/**
 * Reads until an act that the API has accepted is done. A failed read says nothing about the act, so it ends no wait:
 * the stack may be away for hours, and the session may return by a login in another tab.
 */
async function waitForEnd(readIsDone: () => Promise<boolean>): Promise<void> {
  for (let delayMs = 250; ; delayMs = Math.min(delayMs * 1.5, longestDelayMs)) {
    try {
      if (await readIsDone()) return;
    } catch (error) {
      if (isFinal(error)) throw error;
    }
    await sleep(delayMs);
    await untilVisible();
  }
}

/** Reports whether an error says that the act failed or left no record, or is a fault of this page. */
function isFinal(error: unknown): boolean {
  return error instanceof ActionFailedError || error instanceof NotFoundError || !(error instanceof BerthError);
}
