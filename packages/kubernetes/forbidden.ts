import type { Log } from "#core/ports/log.ts";
import { ApiRefused } from "./api-error.ts";
import type { Place } from "./read-run.ts";

/** Of what the server says; an admission policy's own words have no end. */
const mostSaid = 300;

/**
 * What was asked for, or `instead` where the cluster forbids it (403): neither rights from before nor an admission policy
 * ends a look or keeps a run from ending, and the log says which it is. Only for reading and deleting, and for what can be
 * left to a later look; `refused` is given the refusal, for whoever has nothing else to do.
 */
export async function unlessForbidden<Value>(
  { log }: Pick<Place, "log">,
  asked: Promise<Value>,
  instead: Value,
  refused: ApiRefused[] = [],
): Promise<Value> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof ApiRefused) || error.status !== 403) throw error;
    refused.push(error);
    if (log) warnOnce(log, error);
    return instead;
  }
}

/** The refusals that a log was told of already. */
const told = new WeakMap<Pick<Log, "warn">, Set<string>>();

/** Objects have their run's name: of each kind of them one refusal is told, and not each one of each removal. */
function warnOnce(log: Pick<Log, "warn">, { message, said }: ApiRefused): void {
  const isMissing = isRightMissing(said);
  const event = isMissing
    ? "a right on the cluster is missing: apply deploy/kubernetes anew"
    : "the cluster refuses a call";
  const kind = `${event} ${message.replace(/^(DELETE .*\/).*/, "$1")}`;
  const before = told.get(log) ?? new Set();
  if (before.has(kind)) return;
  told.set(log, before.add(kind));
  // What is read or deleted was sent nothing that is secret, which the server might repeat.
  log.warn(event, { refused: message, ...(!isMissing && { said: said.slice(0, mostSaid) }) });
}

/**
 * Authorization, admission and quotas all answer 403, and only its words tell the first
 * (apiserver/pkg/endpoints/handlers/responsewriters/errors.go, `forbiddenMessage`).
 */
function isRightMissing(said: string): boolean {
  return /\bcannot \S+ (resource|path) "/.test(said);
}
