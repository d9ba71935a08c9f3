import { Problem, type ProblemKind } from "#core/problem.ts";
import { Unreadable } from "#core/store/unreadable.ts";
import type { Dialect, ProblemView } from "../dialect.ts";
import { type RequestScope, responseHeaders } from "../exchange.ts";
import type { PlainResponse } from "../request/plain-request.ts";
import { showableFields, withoutKeys } from "../request/redaction.ts";
import type { Runtime } from "../runtime.ts";
import { ERROR_HEADER, errorCode, HttpError } from "./http-error.ts";
import { isOutage } from "./outage.ts";

/**
 * Formats a thrown value in the envelope of the exchange's dialect. Logs an unexpected error instead of showing it.
 */
export function problemResponse(
  runtime: Pick<Runtime, "clock" | "log">,
  exchange: RequestScope,
  error: unknown,
): PlainResponse {
  const problem =
    error instanceof Problem
      ? error
      : (unreadable(runtime, exchange, error) ?? unexpectedProblem(runtime, exchange, error));
  const shown = show(problem, exchange, runtime.clock.now());
  const headers = {
    ...responseHeaders(exchange, "application/json"),
    [ERROR_HEADER]: errorCode(problem),
    ...extraHeaders(problem),
  };
  return { status: shown.status, headers, body: JSON.stringify(exchange.dialect.envelope(shown)) };
}

function unreadable({ log }: Pick<Runtime, "log">, { requestId }: RequestScope, error: unknown): Problem | undefined {
  if (!(error instanceof Unreadable)) return undefined;
  const subject = `The ${error.kind} record that this request needs`;
  if (error.isNewer) {
    log.info("unreadable record", { requestId, error: describedError(error) });
    const text = `${subject} was written by a newer version of this service, try again in a minute`;
    return new Problem("unavailable", text, { retryAfterSeconds: 60 });
  }
  log.error("unreadable record", { requestId, error: describedError(error) });
  return new Problem("failed", `${subject} cannot be read. The operator was notified, and its resources are kept`);
}

function unexpectedProblem({ log }: Pick<Runtime, "log">, { requestId }: RequestScope, error: unknown): HttpError {
  const situation = isOutage(error) ? "unavailable" : "unexpected";
  log.error("request failed", { requestId, situation, error: describedError(error) });
  return new HttpError(situation);
}

/** Describes an error for a log, with its stack and without keys. */
export function describedError(error: unknown): string {
  return withoutKeys(error instanceof Error ? (error.stack ?? `${error.name}: ${error.message}`) : String(error));
}

function show(problem: Problem, exchange: RequestScope, now: number): ProblemView {
  const { dialect, requestId, correlationId } = exchange;
  const situation = problem instanceof HttpError ? problem.situation : undefined;
  return {
    status: dialect.statuses?.[problem.kind] ?? statuses[problem.kind],
    text: problem.message || (situation ? generalText(dialect, situation, exchange) : ""),
    hint: situation && dialect.hints[situation],
    category: (situation && dialect.categories[situation]) ?? dialect.categories[problem.kind] ?? "",
    code: problem.details.code,
    fields: showableFields(problem.details.fields ?? []),
    requestId,
    correlationId,
    now,
  };
}

function generalText({ texts }: Dialect, situation: HttpError["situation"], { method, path }: RequestScope): string {
  return texts[situation].replace(/\{(method|path)\}/g, (_, name) => (name === "method" ? method : withoutKeys(path)));
}

const statuses = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  notFound: 404,
  methodNotAllowed: 405,
  conflict: 409,
  quota: 409,
  gone: 410,
  tooLarge: 413,
  unsupported: 415,
  tooMany: 429,
  failed: 500,
  unavailable: 503,
} as const satisfies Record<ProblemKind, number>;

const RETRY_AFTER_SECONDS = 1;

function extraHeaders({ kind, details }: Problem): Record<string, string> {
  if (kind === "unauthenticated") return { "WWW-Authenticate": "Bearer" };
  // RFC 9110, section 12.5.3: a 415 for a content coding lists the accepted codings.
  if (kind === "unsupported") return { "Accept-Encoding": "identity" };
  if (kind === "methodNotAllowed") return { Allow: (details.allow ?? []).join(", ") };
  const isPassing = kind === "tooMany" || kind === "unavailable";
  const seconds = details.retryAfterSeconds ?? (isPassing ? RETRY_AFTER_SECONDS : undefined);
  return seconds === undefined ? {} : { "Retry-After": String(seconds) };
}
