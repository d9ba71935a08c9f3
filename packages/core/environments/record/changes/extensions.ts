import type { Environment } from "../record.ts";
import { shorten } from "../timeline.ts";
import { type Action, closeActions } from "./actions.ts";

/**
 * An extension shows after this time: old clients expect the earlier state in between
 * (docs/apis/gpu-dev.md#job-actions).
 */
export const SHOWN_AFTER_MS = 2_000;

type Requested = Pick<Environment, "requests">;

function openExtensions({ requests }: Requested): Action[] {
  return requests.list.filter(isOpenExtension);
}

export function nextExtensionAt(environment: Requested): number {
  return Math.min(...openExtensions(environment).map(({ requestedAt }) => requestedAt + SHOWN_AFTER_MS));
}

export function showExtensions(environment: Environment, now: number): Environment {
  return closeActions(environment, ["extend"], now, null, (action) => isShown(action, now));
}

export function noteRefusedExtensions(environment: Environment, why: string, now: number): Environment {
  const reason = shorten(`The cluster has not accepted it yet; retrying: ${why}`);
  const isNews = (action: Action) => isOpenExtension(action) && isShown(action, now) && action.reason !== reason;
  const { requests } = environment;
  if (!requests.list.some(isNews)) return environment;
  const list = requests.list.map((action) => (isNews(action) ? { ...action, reason } : action));
  return { ...environment, requests: { ...requests, list } };
}

export function hasRefusedExtension({ requests }: Requested): boolean {
  return requests.list.some(isRefused);
}

/** Closes all extensions at the end. One that the cluster never accepted fails, unless the end time has come. */
export function endExtensions(environment: Environment, now: number): Environment {
  const { endsAt } = environment.times;
  const hadItsTime = endsAt !== null && now >= endsAt;
  const isLost = (action: Action) => !hadItsTime && isRefused(action);
  const why = "The cluster did not accept it before the end";
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

/** Returns the ms of extensions that are not shown: not yet, or never. */
export function hiddenMs(environment: Requested): number {
  const hidden = environment.requests.list.filter(({ kind, status }) => kind === "extend" && status !== "done");
  return hidden.reduce((sum, { extraMs = 0 }) => sum + extraMs, 0);
}
