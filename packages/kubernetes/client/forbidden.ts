import type { Log } from "#core/ports/log.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { ApiRefused } from "./api-error.ts";

/** Limit of server text in the log: an admission policy may answer at any length. */
const mostSaid = 300;

/**
 * Returns the result of a call, or `instead` if the cluster forbids it (403), which is logged. A missing right thus
 * keeps no run from ending. Use it only for reads and deletes that a later reconcile can repeat.
 */
export async function unlessForbidden<Value>(
  { log }: Pick<ClusterContext, "log">,
  call: string,
  response: Promise<Value>,
  instead: Value,
  refused: ApiRefused[] = [],
): Promise<Value> {
  try {
    const answer = await response;
    if (log) forget(log, call);
    return answer;
  } catch (error) {
    if (!(error instanceof ApiRefused) || error.status !== 403) throw error;
    refused.push(error);
    if (log) warnOnce(log, call, error);
    return instead;
  }
}

/** Refusals that each log already has: the refused call by its kind. */
const logged = new WeakMap<Pick<Log, "warn">, Map<string, string>>();

const RIGHT_MISSING = "a right on the cluster is missing: apply deploy/kubernetes anew";
const REFUSED = "the cluster refuses a call";

/** Logs one refusal per kind of object: names contain the run, so each removal would log its own. */
function warnOnce(log: Pick<Log, "warn">, call: string, { message, said }: ApiRefused): void {
  const event = isRightMissing(said) ? RIGHT_MISSING : REFUSED;
  const kind = getKind(event, call);
  const before = logged.get(log) ?? new Map<string, string>();
  if (before.has(kind)) return;
  logged.set(log, before.set(kind, call));
  // Reads and deletes send no secrets that the server could repeat.
  log.warn(event, { refused: message, ...(event === REFUSED && { said: said.slice(0, mostSaid) }) });
}

/** Forgets a resolved refusal. A right covers a kind of object, an admission policy may refuse a single one. */
function forget(log: Pick<Log, "warn">, call: string): void {
  const before = logged.get(log);
  before?.delete(getKind(RIGHT_MISSING, call));
  const refused = getKind(REFUSED, call);
  if (before?.get(refused) === call) before.delete(refused);
}

function getKind(event: string, call: string): string {
  return `${event} ${call.replace(/^(DELETE .*\/).*/, "$1")}`;
}

/**
 * Reports whether a right is missing. Authorization, admission and quotas answer 403 and differ only in their text
 * (apiserver/pkg/endpoints/handlers/responsewriters/errors.go, `forbiddenMessage`).
 */
function isRightMissing(said: string): boolean {
  return /\bcannot \S+ (resource|path) "/.test(said);
}
