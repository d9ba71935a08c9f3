import type { Dialect } from "../dialect.ts";
import type { PlainRequest } from "../request/plain-request.ts";
import type { Deployment } from "../runtime.ts";

/** RFC 6265bis, "The __Host- prefix": only this host sets such a cookie, over a secure connection, for all paths. */
const COOKIE = "__Host-berth";
const ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Strict";

export function setSessionCookie(secret: string, seconds: number): Readonly<Record<string, string>> {
  return { "Set-Cookie": `${COOKIE}=${secret}; Max-Age=${seconds}; ${ATTRIBUTES}` };
}

export function clearSessionCookie(): Readonly<Record<string, string>> {
  return setSessionCookie("", 0);
}

interface CookieRequest {
  readonly request: Pick<PlainRequest, "method" | "headers">;
  readonly dialect: Pick<Dialect, "takesCookie">;
  readonly deployment: Pick<Deployment, "consoleUrl">;
  /** The `/k/` key, also an empty one. */
  readonly keyInPath: string | undefined;
}

/** Returns the key in the session cookie, if it may count for this request (docs/apis/common.md#browser-sessions). */
export function findSessionKey({ request, dialect, deployment, keyInPath }: CookieRequest): string | undefined {
  const { headers } = request;
  if (!dialect.takesCookie || keyInPath !== undefined || headers.has("authorization")) return undefined;
  return isFromConsole(request, deployment) ? readCookie(headers.get("cookie")) : undefined;
}

/**
 * Reports whether a page of this deployment itself sent a request. Scripts cannot set these headers (Fetch Standard,
 * "forbidden request-header"), and a site of the same registrable domain is `same-site`, not `same-origin`.
 */
export function isFromConsole(
  { method, headers }: CookieRequest["request"],
  { consoleUrl }: Pick<Deployment, "consoleUrl">,
): boolean {
  if (headers.get("sec-fetch-site") !== "same-origin") return false;
  const host = headers.get("host")?.toLowerCase() ?? "";
  const own = consoleUrl === undefined ? undefined : new URL(consoleUrl);
  // A tunnel may lead here from another port. Behind the edge, the Host header of a request without an Origin names the
  // API (docs/architecture/edge.md).
  if (own && host.replace(/:\d+$/, "") !== own.hostname) return false;
  const origin = headers.get("origin");
  if (origin === null) return method === "GET" || method === "HEAD";
  return origin === `${own?.protocol ?? "https:"}//${host}`;
}

/** Returns the value of the only cookie of this name: a browser never sends two. */
function readCookie(header: string | null): string | undefined {
  const pairs = (header ?? "").split(";").map((pair) => pair.trim());
  const values = pairs.filter((pair) => pair.startsWith(`${COOKIE}=`)).map((pair) => pair.slice(COOKIE.length + 1));
  return values.length === 1 && values[0] !== "" ? values[0] : undefined;
}
