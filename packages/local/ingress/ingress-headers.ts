import type { IncomingHttpHeaders, IncomingMessage } from "node:http";

export type SentHeaders = Record<string, string | string[]>;

/** Headers of one connection (RFC 9110, 7.6.1), and those that older proxies and clients send. */
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
/** Berth's credentials must not reach the environment. Forwarding headers are replaced. */
const notPassedOn: ReadonlySet<string> = new Set([
  "authorization",
  "x-api-key",
  "host",
  "content-length",
  "expect",
  "forwarded",
  "x-real-ip",
]);

export function requestHeaders(incoming: IncomingMessage, { host, scheme }: { host: string; scheme: string }) {
  const { headers, socket } = incoming;
  const passed = passedOn(incoming, (name) => notPassedOn.has(name) || name.startsWith("x-forwarded-"));
  return {
    ...passed,
    ...framing(headers),
    host,
    // With `close`, a server that has not read the whole request may close before its answer is read.
    connection: "keep-alive",
    "x-forwarded-for": socket.remoteAddress ?? "127.0.0.1",
    "x-forwarded-host": host,
    "x-forwarded-proto": scheme,
  } satisfies SentHeaders;
}

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

/** Keeps the framing of the body. Without it the body would be parsed as the next request. */
function framing(headers: IncomingHttpHeaders): SentHeaders {
  if (headers["transfer-encoding"] !== undefined) return { "transfer-encoding": "chunked" };
  const length = headers["content-length"];
  return length === undefined ? {} : { "content-length": length };
}
