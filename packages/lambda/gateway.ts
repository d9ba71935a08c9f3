import * as z from "zod";
import { formatBody, type PlainHeaders, type PlainRequest, type PlainResponse } from "#http/request/plain-request.ts";
import { ORIGIN_HEADER } from "./origin.ts";

/** Header in which the edge sends the client's original path, if it contains escapes. */
const PATH_HEADER = "x-berth-path";

/** Header with the client's address, set by the edge. */
export const VIEWER_HEADER = "x-berth-viewer";

/** Fields of an HTTP API or function URL event (payload format 2.0) that Berth reads. */
export type GatewayEvent = z.output<typeof GatewayEvent>;

/** Methods that fetch refuses (Fetch standard, "forbidden method"). */
const forbiddenMethod = /^(CONNECT|TRACE|TRACK)$/i;

const GatewayEvent = z.object({
  version: z.literal("2.0"),
  rawPath: z.string(),
  rawQueryString: z.string(),
  headers: z.record(z.string(), z.string()).default({}),
  cookies: z.array(z.string()).default([]),
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
  readonly cookies?: readonly string[];
  readonly body: string;
  readonly isBase64Encoded: boolean;
}

/** Returns undefined if the event is not from an HTTP API or a function URL. */
export function parseGatewayEvent(event: unknown): GatewayEvent | undefined {
  return GatewayEvent.safeParse(event).data;
}

/** Converts an event into a request. Requires the edge's secret, because it trusts the edge's path header. */
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
  const { "set-cookie": cookie, ...headers }: Readonly<Record<string, string>> = Object.fromEntries(entries);
  const isText = /^(application\/json|text\/)/.test(headers["content-type"] ?? "text/");
  const body = isText ? formatBody(response) : Buffer.from(response.body).toString("base64");
  const cookies = cookie !== undefined && { cookies: [cookie] };
  return { statusCode: response.status, headers, ...cookies, body, isBase64Encoded: !isText };
}

/** Normalizes the method (Fetch standard, "normalize a method"). */
function getMethod({ requestContext: { http } }: GatewayEvent): string {
  return /^(DELETE|GET|HEAD|OPTIONS|POST|PUT)$/i.test(http.method) ? http.method.toUpperCase() : http.method;
}

/** Returns a URL with any host, since routing uses only paths. Escapes characters that would end the path. */
function formatUrl(event: GatewayEvent): string {
  const path = sentPath(event).replace(endOfPath, encodeURIComponent);
  const query = event.rawQueryString.replace(/[#\t\n\r]/g, encodeURIComponent);
  return `https://gateway${keyPrefix(event)}${path.startsWith("/") ? "" : "/"}${path}${query === "" ? "" : `?${query}`}`;
}

const endOfPath = /[?#\\\t\n\r]/g;

/**
 * Returns the path as sent. An HTTP API decodes it once, which loses the client's escapes, so the edge sends those
 * separately (docs/architecture/edge.md).
 */
function sentPath({ rawPath, headers, requestContext }: GatewayEvent): string {
  const sent = headers[PATH_HEADER];
  if (sent !== undefined) return sent;
  if (functionUrlHost.test(requestContext.domainName)) return rawPath;
  return encodeURI(rawPath.toWellFormed());
}

const functionUrlHost = /\.lambda-url\.[a-z0-9-]+\.on\.aws$/;

/** Restores `/k/<key>`, which the edge removes so that routes match. A slash stands for an empty key. */
function keyPrefix({ headers }: GatewayEvent): string {
  const key = headers["x-berth-key"];
  if (key === "/") return "/k/";
  return key === undefined ? "" : `/k/${key.replace(/[/?#\\\s]/g, encodeURIComponent)}`;
}

/** Header with the host that the client asked for, set by the edge. The Host header names the API behind it. */
const HOST_HEADER = "x-berth-host";

/** Headers of the edge, which only this adapter reads. */
const ofTheEdge: readonly string[] = [ORIGIN_HEADER, PATH_HEADER, VIEWER_HEADER, HOST_HEADER];

/** Returns the valid headers. The gateway has trimmed the values (RFC 9110 section 5.5). */
function headersOfEvent(event: GatewayEvent, body: Uint8Array | undefined): PlainHeaders {
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(event.headers)) {
    const isKept = !ofTheEdge.includes(name) && headerName.test(name) && headerValue.test(value);
    if (isKept) headers.set(name.toLowerCase(), value);
  }
  const host = event.headers[HOST_HEADER];
  if (host !== undefined && headerValue.test(host)) headers.set("host", host);
  // Payload format 2.0 has the cookies beside the headers (API Gateway Developer Guide, "AWS Lambda integrations").
  const cookies = event.cookies.join("; ");
  if (cookies !== "" && headerValue.test(cookies)) headers.set("cookie", cookies);
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
