import { Problem } from "../../../problem.ts";
import type { Environment } from "../record.ts";
import { shorten } from "../timeline.ts";

export type ActionKind = "cancel" | "extend" | "enable_jupyter" | "disable_jupyter" | "add_user" | "resize";

export interface Action {
  readonly id: number;
  readonly kind: ActionKind;
  /** The token of the change that added the action; a retry finds its own action by it (write-record.ts). */
  readonly writer: string;
  readonly subject?: string | undefined;
  readonly extraMs?: number | undefined;
  readonly status: "requested" | "done" | "failed";
  readonly reason: string | null;
  readonly requestedAt: number;
  readonly completedAt: number | null;
}

/** The number of the create request; later requests count on from it. */
export const CREATION = 1;

const KEPT_ACTIONS = 20;

interface NewAction extends Pick<Action, "kind" | "writer" | "subject" | "extraMs"> {
  readonly at: number;
  readonly noun: string;
}

/** Adds a request. Throws `conflict` if 20 are open, except for a cancel, which must work while the cluster is away. */
export function addAction(
  environment: Environment,
  { kind, at, noun, writer, subject, extraMs }: NewAction,
): Environment {
  const open = environment.requests.list.filter((action) => action.status === "requested");
  if (open.length >= KEPT_ACTIONS && kind !== "cancel") {
    throw new Problem("conflict", `Too many open requests for ${noun} ${environment.id}`, { errorCode: "limit" });
  }
  const id = environment.requests.count + 1;
  const about = { ...(subject !== undefined && { subject }), ...(extraMs !== undefined && { extraMs }) };
  const action: Action = {
    id,
    kind,
    writer,
    ...about,
    status: "requested",
    reason: null,
    requestedAt: at,
    completedAt: null,
  };
  const closed = environment.requests.list.filter((old) => old.status !== "requested");
  const dropped = new Set(closed.slice(0, Math.max(0, environment.requests.list.length + 1 - KEPT_ACTIONS)));
  const kept = environment.requests.list.filter((old) => !dropped.has(old));
  return { ...environment, requests: { ...environment.requests, list: [...kept, action], count: id } };
}

export function hasOpenAction(
  environment: Environment,
  kind: ActionKind,
  which: (action: Action) => boolean = () => true,
): boolean {
  return environment.requests.list.some(
    (action) => action.kind === kind && action.status === "requested" && which(action),
  );
}

/** Closes the open requests of these kinds that match `which`, as done, or as failed with the reason. */
export function closeActions(
  environment: Environment,
  kinds: readonly ActionKind[],
  at: number,
  failure: string | null = null,
  which: (action: Action) => boolean = () => true,
): Environment {
  const status = failure === null ? "done" : "failed";
  const actions = environment.requests.list.map((action) =>
    action.status === "requested" && kinds.includes(action.kind) && which(action)
      ? { ...action, status, reason: shorten(failure), completedAt: at }
      : action,
  ) satisfies Action[];
  return { ...environment, requests: { ...environment.requests, list: actions } };
}
