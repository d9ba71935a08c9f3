import * as z from "zod";
import { formatBody, type PlainHeaders, type PlainRequest, type PlainResponse } from "#http/request/plain-request.ts";
import { ORIGIN_HEADER } from "./origin.ts";

/** In it the edge says the path as the client sent it, where something in it is escaped. */
const PATH_HEADER = "x-berth-path";

/** The header in which the edge says the client's address. */
export const VIEWER_HEADER = "x-berth-viewer";

/** The parts of an event of an HTTP API or a function URL (payload format 2.0) that are read here. */
export type GatewayEvent = z.output<typeof GatewayEvent>;

/** fetch makes no request of these (Fetch standard, "forbidden method"). */
const forbiddenMethod = /^(CONNECT|TRACE|TRACK)$/i;

const GatewayEvent = z.object({
  version: z.literal("2.0"),
  rawPath: z.string(),
  rawQueryString: z.string(),
  headers: z.record(z.string(), z.string()).default({}),
  body: z.string().optional(),
  isBase64Encoded: z.boolean().default(false),
  requestContext: z.object({
    domainName: z.string(),
    http: z.object({ method: z.string().refine((method) => headerName.test(method) && !forbiddenMethod.test(method)) }),
  }),
});

export interface GatewayResult {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly isBase64Encoded: boolean;
}

/** Undefined for what neither an HTTP API nor a function URL sends. */
export function parseGatewayEvent(event: unknown): GatewayEvent | undefined {
  return GatewayEvent.safeParse(event).data;
}

/**
 * The event as a request. A header that no Request may hold is left out; its path and query are as the client sent them,
 * and method and URL as a Request has them. Only for an event with the secret of the edge, whose word on the path is
 * taken.
 */
export function requestOfEvent(event: GatewayEvent): PlainRequest {
  const method = getMethod(event);
  const bytes = method === "GET" || method === "HEAD" ? undefined : findBytes(event);
  return {
    method,
    url: new URL(formatUrl(event)).href,
    headers: headersOfEvent(event, bytes),
    get body() {
      return bytes ? ReadableStream.from([bytes]) : null;
    },
    arrayBuffer: async () => (bytes ?? new Uint8Array()).buffer,
  };
}

export function resultOfResponse(response: PlainResponse): GatewayResult {
  const entries = Object.entries(response.headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  const headers: Readonly<Record<string, string>> = Object.fromEntries(entries);
  const isText = /^(application\/json|text\/)/.test(headers["content-type"] ?? "text/");
  const body = isText ? formatBody(response) : Buffer.from(response.body).toString("base64");
  return { statusCode: response.status, headers, body, isBase64Encoded: !isText };
}

/** Fetch standard, "normalize a method". */
function getMethod({ requestContext: { http } }: GatewayEvent): string {
  return /^(DELETE|GET|HEAD|OPTIONS|POST|PUT)$/i.test(http.method) ? http.method.toUpperCase() : http.method;
}

/** The host plays no part: routing knows paths alone. What would end the path early is escaped. */
function formatUrl(event: GatewayEvent): string {
  const path = sentPath(event).replace(endOfPath, encodeURIComponent);
  const query = event.rawQueryString.replace(/[#\t\n\r]/g, encodeURIComponent);
  return `https://gateway${keyPrefix(event)}${path.startsWith("/") ? "" : "/"}${path}${query === "" ? "" : `?${query}`}`;
}

const endOfPath = /[?#\\\t\n\r]/g;

/**
 * A function URL hands over the path of its request, an HTTP API decodes it once: there it is encoded again. Where
 * something was escaped that cannot be told any more, and the edge says it (docs/architecture/edge.md).
 */
function sentPath({ rawPath, headers, requestContext }: GatewayEvent): string {
  const sent = headers[PATH_HEADER];
  if (sent !== undefined) return sent;
  if (functionUrlHost.test(requestContext.domainName)) return rawPath;
  return encodeURI(rawPath.toWellFormed());
}

const functionUrlHost = /\.lambda-url\.[a-z0-9-]+\.on\.aws$/;

/**
 * The edge takes `/k/<key>` off the path, since a route of an HTTP API begins where the API's own paths do. An empty key is
 * a slash there.
 */
function keyPrefix({ headers }: GatewayEvent): string {
  const key = headers["x-berth-key"];
  if (key === "/") return "/k/";
  return key === undefined ? "" : `/k/${key.replace(/[/?#\\\s]/g, encodeURIComponent)}`;
}

/** In it the edge says the host that the client asked for. The Host header is that of the API behind the edge. */
const HOST_HEADER = "x-berth-host";

/** Headers of the edge, which only this adapter reads. */
const ofTheEdge: readonly string[] = [ORIGIN_HEADER, PATH_HEADER, VIEWER_HEADER, HOST_HEADER];

/** A gateway has taken away the spaces around a value (RFC 9110 section 5.5). */
function headersOfEvent(event: GatewayEvent, body: Uint8Array | undefined): PlainHeaders {
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(event.headers)) {
    const isKept = !ofTheEdge.includes(name) && headerName.test(name) && headerValue.test(value);
    if (isKept) headers.set(name.toLowerCase(), value);
  }
  const host = event.headers[HOST_HEADER];
  if (host !== undefined && headerValue.test(host)) headers.set("host", host);
  if (body) headers.set("content-length", String(body.byteLength));
  return {
    get: (name) => headers.get(name.toLowerCase()) ?? null,
    has: (name) => headers.has(name.toLowerCase()),
  };
}

// RFC 9110 section 5: a token, and a value of visible or extended Latin-1 characters, spaces and tabs.
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;

function findBytes({ body, isBase64Encoded }: GatewayEvent): Uint8Array<ArrayBuffer> | undefined {
  if (!body) return undefined;
  return new Uint8Array(Buffer.from(body, isBase64Encoded ? "base64" : "utf8"));
}
