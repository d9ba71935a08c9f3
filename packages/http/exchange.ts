import type { Actor } from "#core/context.ts";
import type { Dialect } from "./dialect.ts";
import type { PlainRequest } from "./request/plain-request.ts";
import type { Runtime } from "./runtime.ts";

export interface RequestScope {
  readonly requestId: string;
  readonly correlationId: string | undefined;
  readonly method: string;
  readonly path: string;
  readonly route: string | undefined;
  readonly dialect: Dialect;
  readonly viewer: string | undefined;
  readonly startedAt: number;
  actor: Actor | undefined;
}

export function openExchange(
  { clock, ids }: Pick<Runtime, "clock" | "ids">,
  request: Pick<PlainRequest, "method" | "headers">,
  { path, route, dialect, viewer }: Pick<RequestScope, "path" | "route" | "dialect" | "viewer">,
): RequestScope {
  return {
    requestId: wellFormed(request.headers.get("x-request-id")) ?? ids.uid(),
    correlationId: wellFormed(request.headers.get("x-correlation-id")),
    method: request.method,
    path,
    route,
    dialect,
    viewer,
    startedAt: clock.monotonic(),
    actor: undefined,
  };
}

export function responseHeaders(
  { requestId, correlationId }: RequestScope,
  contentType: string,
): Record<string, string> {
  return {
    "Content-Type": contentType,
    "X-Request-ID": requestId,
    ...(correlationId !== undefined && { "X-Correlation-ID": correlationId }),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
  };
}

/**
 * Writes the log line of a request. `client` is the address that the edge connected to: clients can forge
 * X-Forwarded-For, so it is never read.
 */
export function logExchange(
  { log, clock }: Pick<Runtime, "log" | "clock">,
  exchange: RequestScope,
  status: number,
): void {
  const { requestId, method, route, dialect, viewer, actor, startedAt } = exchange;
  log.info("request", {
    requestId,
    method: method.slice(0, 16),
    route: route ?? null,
    status,
    ms: Math.round((clock.monotonic() - startedAt) * 1000) / 1000,
    dialect: dialect.name,
    ...(viewer !== undefined && { client: viewer }),
    ...(actor && { user: actor.username, key: actor.keyPrefix }),
  });
}

function wellFormed(id: string | null): string | undefined {
  return id !== null && /^[A-Za-z0-9._-]{1,128}$/.test(id) ? id : undefined;
}
