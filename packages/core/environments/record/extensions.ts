import { type Action, closeActions } from "./actions.ts";
import type { Environment } from "./record.ts";

/**
 * An extension counts for the end at once and shows only so long after it was asked for: old clients read what was
 * there before it after their request (docs/apis/gpu-dev.md#job-actions).
 */
export const SHOWN_AFTER_MS = 2_000;

type Requested = Pick<Environment, "requests">;

function openExtensions({ requests }: Requested): Action[] {
  return requests.list.filter(({ kind, status }) => kind === "extend" && status === "requested");
}

/** When the next one is to show; infinity without any. */
export function nextExtensionAt(environment: Requested): number {
  return Math.min(...openExtensions(environment).map(({ requestedAt }) => requestedAt + SHOWN_AFTER_MS));
}

/** Closes those that may show by now. */
export function showExtensions(environment: Environment, now: number): Environment {
  return closeActions(environment, ["extend"], now, null, ({ requestedAt }) => requestedAt + SHOWN_AFTER_MS <= now);
}

/** How much of its time does not show yet, ms. */
export function hiddenMs(environment: Requested): number {
  return openExtensions(environment).reduce((sum, { extraMs = 0 }) => sum + extraMs, 0);
}
