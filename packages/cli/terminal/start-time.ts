import type { Berth } from "../../sdk/berth.ts";
import { BerthError } from "../../sdk/errors.ts";
import type { JobEstimate } from "../../sdk/jobs.ts";
import { type JobSettings, submitRequest } from "../jobs/submit-request.ts";
import { timeSpan } from "./text.ts";

export const noMachine = "no machine now";

/** Returns when a job would start, in a few words. */
export async function startTime(berth: Berth, settings: JobSettings, signal: AbortSignal): Promise<string> {
  try {
    return startWords(await berth.jobs.estimate(await submitRequest(berth, settings, signal), { signal }));
  } catch (error) {
    // The submit reports an invalid request.
    if (error instanceof BerthError && error.code !== "unreachable") return "no estimate";
    throw error;
  }
}

/** Returns an estimate in a few words. */
function startWords({ estimated_start_time: start, reason }: JobEstimate): string {
  if (start !== null) {
    const waitMs = Date.parse(start) - Date.now();
    return waitMs < 1000 ? "starts now" : `starts in about ${timeSpan(waitMs)}`;
  }
  return /^No \S+ nodes available/.test(reason) ? noMachine : "no estimate yet";
}
