import type { Log } from "#core/ports/log.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { ApiRefused } from "./api-error.ts";

/** Of what the server says; an admission policy's own words have no end. */
const mostSaid = 300;

/**
 * What was asked for with this call (`DELETE /api/…`), or `instead` where the cluster forbids it (403): neither rights from
 * before nor an admission policy ends a look or keeps a run from ending, and the log says which it is. Only for reading and
 * deleting, and for what can be left to a later look; `refused` is given the refusal, for whoever has nothing else to do.
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

/** The refusals that each log has a line of, by their kind, with the call that was refused. */
const logged = new WeakMap<Pick<Log, "warn">, Map<string, string>>();

const RIGHT_MISSING = "a right on the cluster is missing: apply deploy/kubernetes anew";
const REFUSED = "the cluster refuses a call";

/** Objects have their run's name: of each kind of them one refusal is logged, not each one of each removal. */
function warnOnce(log: Pick<Log, "warn">, call: string, { message, said }: ApiRefused): void {
  const event = isRightMissing(said) ? RIGHT_MISSING : REFUSED;
  const kind = getKind(event, call);
  const before = logged.get(log) ?? new Map<string, string>();
  if (before.has(kind)) return;
  logged.set(log, before.set(kind, call));
  // What is read or deleted was sent nothing that is secret, which the server might repeat.
  log.warn(event, { refused: message, ...(event === REFUSED && { said: said.slice(0, mostSaid) }) });
}

/**
 * What was mended is logged when it comes again. A right is one for all objects of a kind; an admission policy may refuse a
 * single one of them, so only the very call that it refused shows that it does not any more.
 */
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
 * Authorization, admission and quotas all answer 403, and only its words tell the first
 * (apiserver/pkg/endpoints/handlers/responsewriters/errors.go, `forbiddenMessage`).
 */
function isRightMissing(said: string): boolean {
  return /\bcannot \S+ (resource|path) "/.test(said);
}
