import type { Environment } from "../record.ts";
import { shorten } from "../timeline.ts";
import { type Action, closeActions } from "./actions.ts";

/**
 * An extension counts for the end at once and shows only so long after it was asked for: old clients read what was
 * there before it after their request (docs/apis/gpu-dev.md#job-actions).
 */
export const SHOWN_AFTER_MS = 2_000;

type Requested = Pick<Environment, "requests">;

function openExtensions({ requests }: Requested): Action[] {
  return requests.list.filter(isOpenExtension);
}

/** When the next one is to show; infinity without any. */
export function nextExtensionAt(environment: Requested): number {
  return Math.min(...openExtensions(environment).map(({ requestedAt }) => requestedAt + SHOWN_AFTER_MS));
}

/** Closes those that may show by now. */
export function showExtensions(environment: Environment, now: number): Environment {
  return closeActions(environment, ["extend"], now, null, (action) => isShown(action, now));
}

/** Says of those that the cluster should have taken by now why it did not; they stay open. */
export function noteRefusedExtensions(environment: Environment, why: string, now: number): Environment {
  const reason = shorten(`The cluster did not take it and is asked again: ${why}`);
  const isNews = (action: Action) => isOpenExtension(action) && isShown(action, now) && action.reason !== reason;
  const { requests } = environment;
  if (!requests.list.some(isNews)) return environment;
  const list = requests.list.map((action) => (isNews(action) ? { ...action, reason } : action));
  return { ...environment, requests: { ...requests, list } };
}

/** Whether an extension is open that the cluster refused the last time. */
export function hasRefusedExtension({ requests }: Requested): boolean {
  return requests.list.some(isRefused);
}

/** Closes all of them at the end: those that the cluster never took have failed, unless it lived to see their time. */
export function endExtensions(environment: Environment, now: number): Environment {
  const { endsAt } = environment.times;
  const hadItsTime = endsAt !== null && now >= endsAt;
  const isLost = (action: Action) => !hadItsTime && isRefused(action);
  const why = "The cluster did not take it before the end";
  return closeActions(closeActions(environment, ["extend"], now, why, isLost), ["extend"], now);
}

function isOpenExtension({ kind, status }: Action): boolean {
  return kind === "extend" && status === "requested";
}

function isRefused(action: Action): boolean {
  return isOpenExtension(action) && action.reason !== null;
}

function isShown({ requestedAt }: Action, now: number): boolean {
  return requestedAt + SHOWN_AFTER_MS <= now;
}

/** How much of its time does not show, ms: not yet, or no more since the cluster never took it. */
export function hiddenMs(environment: Requested): number {
  const hidden = environment.requests.list.filter(({ kind, status }) => kind === "extend" && status !== "done");
  return hidden.reduce((sum, { extraMs = 0 }) => sum + extraMs, 0);
}
