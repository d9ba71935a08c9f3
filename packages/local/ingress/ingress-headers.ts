import type { IncomingHttpHeaders, IncomingMessage } from "node:http";

export type SentHeaders = Record<string, string | string[]>;

/** Of one connection (RFC 9110, 7.6.1), with what older proxies and clients send. */
const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "proxy-authenticate",
  "proxy-authorization",
  "http2-settings",
]);
/** What opens Berth is nobody else's to see; what says who asked from where is said anew. */
const notPassedOn: ReadonlySet<string> = new Set([
  "authorization",
  "x-api-key",
  "host",
  "content-length",
  "expect",
  "forwarded",
  "x-real-ip",
]);

/** The headers of a request as the environment gets them. */
export function requestHeaders(incoming: IncomingMessage, { host, scheme }: { host: string; scheme: string }) {
  const { headers, socket } = incoming;
  const passed = passedOn(incoming, (name) => notPassedOn.has(name) || name.startsWith("x-forwarded-"));
  return {
    ...passed,
    ...framing(headers),
    host,
    // Whoever says goodbye at once may do so before its answer was read, when it did not read all of the question.
    connection: "keep-alive",
    "x-forwarded-for": socket.remoteAddress ?? "127.0.0.1",
    "x-forwarded-host": host,
    "x-forwarded-proto": scheme,
  } satisfies SentHeaders;
}

/** The headers of an answer as the client gets them. */
export function answerHeaders(answer: IncomingMessage): SentHeaders {
  return passedOn(answer, () => false);
}

function passedOn({ headersDistinct, headers }: IncomingMessage, isLeftOut: (name: string) => boolean): SentHeaders {
  const named = new Set((headers.connection ?? "").toLowerCase().split(/[\s,]+/));
  const kept = Object.entries(headersDistinct).filter(
    ([name]) => !hopByHop.has(name) && !isLeftOut(name) && (!named.has(name) || name === "content-length"),
  );
  return Object.fromEntries(
    kept.map(([name, values = []]) => [name, values.length === 1 ? (values[0] ?? "") : values]),
  );
}

/** A body is sent as it came, in chunks or in one piece: without either the next request would begin in it. */
function framing(headers: IncomingHttpHeaders): SentHeaders {
  if (headers["transfer-encoding"] !== undefined) return { "transfer-encoding": "chunked" };
  const length = headers["content-length"];
  return length === undefined ? {} : { "content-length": length };
}
