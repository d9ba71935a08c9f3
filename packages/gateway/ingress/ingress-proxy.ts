import {
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from "node:http";
import { type Duplex, pipeline } from "node:stream";
import { withoutMapping } from "../ports/client-address.ts";
import { getPath } from "./ingress-access.ts";
import { badRequest, lateAnswer, noAnswer, type Page, show, slowUpload } from "./ingress-page.ts";
import { isRepeatable, type KeptConnections, type KeptPlace } from "./kept-connections.ts";
import { type OpenPage, PageAgent } from "./page-connection.ts";

export interface ProxyTimes {
  readonly answerMs: number;
  readonly idleMs: number;
  /** How long a connection is kept for the next request. Servers of pages often close one after 5 s. */
  readonly keptMs: number;
}

export const proxyTimes: ProxyTimes = { answerMs: 60_000, idleMs: 600_000, keptMs: 4_000 };

interface Passed {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly connect: OpenPage;
  /** Connections that this request may use again. If undefined, it opens a new one. */
  readonly kept?: { readonly connections: KeptConnections; readonly place: KeptPlace } | undefined;
  readonly host: string;
  readonly scheme: string;
  readonly times: ProxyTimes;
  /** Whether the client has no key. */
  readonly isVisitor: boolean;
}

export function passOn(passed: Passed): void {
  const { incoming, outgoing } = passed;
  const kept = isRepeatable(incoming) ? passed.kept : undefined;
  const upstream = ask({ ...passed, kept });
  if (!upstream) return;
  upstream.once("response", (answer) => giveBack(answer, passed));
  // The client did not ask for an upgrade.
  upstream.once("upgrade", (_, socket) => {
    socket.destroy();
    failed(outgoing, noAnswer);
  });
  if (kept) return void upstream.end();
  incoming.pipe(upstream);
  // Drain the unread body, or it would be parsed as the client's next request.
  upstream.once("close", () => incoming.unpipe(upstream).resume());
}

function ask(passed: Passed, more: SentHeaders = {}): ClientRequest | undefined {
  const { incoming, outgoing, times } = passed;
  const headers = { ...requestHeaders(incoming, passed), ...more };
  const options = { method: incoming.method ?? "GET", path: getPath(incoming), headers, setHost: false };
  try {
    const waiting = new AbortController();
    const upstream = request({ ...options, ...connectionOptions(passed, waiting.signal) });
    const late = setTimeout(() => {
      waiting.abort(new Error(LATE));
      upstream.destroy(new Error(LATE));
    }, times.answerMs);
    const fail = (error: Error) => {
      upstream.off("error", fail).on("error", () => undefined);
      clearTimeout(late);
      if (error.message === LATE) failed(outgoing, lateAnswer);
      else if (error.message === SLOW) failed(outgoing, slowUpload);
      else if (canRepeat(passed, upstream)) passOn({ ...passed, kept: undefined });
      else failed(outgoing, noAnswer);
    };
    upstream.on("error", fail);
    upstream.once("socket", (stream) => {
      passed.kept?.connections.assign(upstream, stream);
      // The request would wait for the end of a stream that has ended already.
      if (stream.destroyed) fail(new Error("The connection was closed"));
    });
    const isTooSlow = passed.isVisitor ? slowBody(incoming, times.answerMs) : () => false;
    const refresh = ({ length }: Buffer) => {
      if (!isTooSlow(length)) return late.refresh();
      waiting.abort(new Error(SLOW));
      return upstream.destroy(new Error(SLOW));
    };
    // The page may answer once it has the whole body, which may take longer than an answer.
    if (!passed.kept) incoming.on("data", refresh);
    for (const event of ["response", "upgrade", "close"]) {
      upstream.once(event, () => {
        incoming.off("data", refresh);
        clearTimeout(late);
      });
    }
    // Ignore later request errors: the answer may be complete although the server did not read the whole request.
    for (const event of ["response", "upgrade"]) {
      upstream.once(event, () => upstream.off("error", fail).on("error", () => undefined));
    }
    outgoing.once("close", () => {
      waiting.abort(new Error("The client has left"));
      upstream.destroy();
    });
    return upstream;
  } catch {
    failed(outgoing, badRequest);
    return undefined;
  }
}

function connectionOptions({ connect: open, kept }: Passed, waiting: AbortSignal) {
  return kept ? { agent: kept.connections, place: kept.place, open, waiting } : { agent: new PageAgent(open, waiting) };
}

/** Reports whether a kept connection was closed before a byte of its answer. */
function canRepeat({ kept, outgoing }: Passed, upstream: ClientRequest): boolean {
  return !outgoing.destroyed && kept?.connections.isUnanswered(upstream) === true;
}

function giveBack(answer: IncomingMessage, { outgoing, host, times }: Passed): void {
  answer.setTimeout(times.idleMs, () => answer.destroy(new Error(LATE)));
  try {
    outgoing.writeHead(answer.statusCode ?? 502, answerHeaders(answer, host));
    outgoing.flushHeaders();
  } catch {
    answer.destroy();
    failed(outgoing, noAnswer);
    return;
  }
  pipeline(answer, outgoing, () => undefined);
}

const [LATE, SLOW] = ["late", "slow"];

/** A slower upload of a visitor would hold a place of the page for too long. */
const LEAST_BYTES_PER_SECOND = 4_096;

/**
 * Returns a function that counts the bytes of a body, and reports whether they come too slowly after `graceMs`. The time
 * for which the page reads nothing does not count.
 */
function slowBody(incoming: IncomingMessage, graceMs: number): (bytes: number) => boolean {
  let [startedAt, sum] = [performance.now(), 0];
  let pausedAt: number | undefined;
  incoming.on("pause", () => {
    pausedAt = performance.now();
  });
  incoming.on("resume", () => {
    startedAt += pausedAt === undefined ? 0 : performance.now() - pausedAt;
    pausedAt = undefined;
  });
  return (bytes) => {
    sum += bytes;
    const seconds = (performance.now() - startedAt - graceMs) / 1_000;
    return sum < seconds * LEAST_BYTES_PER_SECOND;
  };
}

/** An answer that has begun can only be aborted. */
function failed(outgoing: ServerResponse, page: Page): void {
  if (outgoing.headersSent || outgoing.destroyed) outgoing.destroy();
  else show(outgoing, page);
}

interface PassedUpgrade extends Passed {
  readonly socket: Duplex;
  readonly head: Buffer;
}

export function passUpgrade(passed: PassedUpgrade): void {
  const { outgoing, socket, head, times } = passed;
  const upstream = ask(passed, { connection: "Upgrade", upgrade: "websocket" });
  if (!upstream) return;
  upstream.once("response", (answer) => giveBack(answer, passed));
  upstream.once("upgrade", (answer, inner, innerHead) => {
    inner.on("error", () => inner.destroy());
    outgoing.statusCode = 101;
    outgoing.detachSocket(socket as Parameters<typeof outgoing.detachSocket>[0]);
    socket.once("close", () => outgoing.emit("close"));
    socket.write(switching(answer, passed.host));
    if (innerHead.length > 0) socket.write(innerHead);
    if (head.length > 0) inner.write(head);
    inner.setTimeout(times.idleMs, () => inner.destroy());
    pipeline(socket, inner, () => socket.destroy());
    pipeline(inner, socket, () => inner.destroy());
  });
  upstream.end();
}

function switching(answer: IncomingMessage, host: string): Buffer {
  const headers = { connection: "Upgrade", upgrade: "websocket", ...answerHeaders(answer, host) };
  const lines = Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().map((value) => `${name}: ${value}`),
  );
  return Buffer.from(`${["HTTP/1.1 101 Switching Protocols", ...lines].join("\r\n")}\r\n\r\n`, "latin1");
}

type SentHeaders = Record<string, string | string[]>;

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

/** Passes on the scheme of Jupyter's clients. Berth's keys are a bearer token or a Basic password. */
function jupyterToken({ authorization = "" }: IncomingMessage["headers"]): SentHeaders {
  return /^token +\S/i.test(authorization) ? { authorization } : {};
}

function requestHeaders(incoming: IncomingMessage, { host, scheme }: { host: string; scheme: string }) {
  const { headers, socket } = incoming;
  const passed = passedOn(incoming, (name) => notPassedOn.has(name) || name.startsWith("x-forwarded-"));
  return {
    ...passed,
    ...jupyterToken(headers),
    ...framing(headers),
    host,
    // With `close`, a server that has not read the whole request may close before its answer is read.
    connection: "keep-alive",
    "x-forwarded-for": withoutMapping(socket.remoteAddress ?? "127.0.0.1"),
    "x-forwarded-host": host,
    "x-forwarded-proto": scheme,
  } satisfies SentHeaders;
}

function answerHeaders(answer: IncomingMessage, host: string): SentHeaders {
  const { "set-cookie": cookies, ...headers } = passedOn(answer, () => false);
  return { ...headers, ...(cookies !== undefined && { "set-cookie": [cookies].flat().map(cookieFor(host)) }) };
}

/** Drops the Domain of a cookie if it is more than this host, because pages of other users are beside it. */
function cookieFor(host: string): (cookie: string) => string {
  const [own] = host.split(":");
  return (cookie) => {
    const [pair = "", ...attributes] = cookie.split(";");
    const kept = attributes.filter((attribute) => {
      const [, domain] = /^\s*domain\s*=\s*\.?(.*?)\s*$/i.exec(attribute) ?? [];
      return domain === undefined || domain.toLowerCase() === own;
    });
    return [pair, ...kept].join(";");
  };
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
