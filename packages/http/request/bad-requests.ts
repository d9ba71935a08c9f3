import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { RequestError } from "@hono/node-server";
import type { Ids } from "#core/ports/ids.ts";
import { ERROR_HEADER } from "../answers/http-error.ts";
import { describedError } from "../answers/problem-response.ts";
import type { Runtime } from "../runtime.ts";

/**
 * Answers requests that Node would refuse silently, with the usual headers (docs/apis/common.md#headers-and-bodies)
 * and the envelope of gpu-dev, which unknown paths get too.
 */
export function answerBadRequests(server: Server, ids: Pick<Ids, "uid">): void {
  server.on("connection", closeInTurn);
  server.on("connection", (socket) => socket.once("close", () => closeQueued(socket)));
  server.prependListener("request", noteRequest);
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (socket.destroyed || error.code === "ECONNRESET") return void socket.destroy();
    if (!isClosing(socket)) end(socket, ids, getStatus(error));
  });
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    if (isClosing(request.socket)) return void request.resume();
    noteRequest(request, response);
    refuse(response, ids, 417);
  });
  server.on("connect", ({ socket }: IncomingMessage) => {
    if (isClosing(socket)) socket.destroy();
    else end(socket, ids, 400);
  });
}

export function isRefused(request: IncomingMessage, response: ServerResponse, ids: Pick<Ids, "uid">): boolean {
  if (isClosing(request.socket)) {
    // Drain the body, or the client would never finish.
    request.resume();
    return true;
  }
  if (!isForSomebody(request)) refuse(response, ids, 400);
  else if (!isReadable(request)) refuse(response, ids, 501);
  return response.headersSent;
}

/**
 * Refuses a bad upgrade, and reports whether it did. If earlier requests are unanswered, it closes the connection after
 * them, because the client would take the refusal for the first answer.
 */
export function isUpgradeRefused(request: IncomingMessage, ids: Pick<Ids, "uid">): boolean {
  const { socket } = request;
  if (isClosing(socket)) {
    socket.destroy();
    return true;
  }
  if (closesBehindPending(socket)) return true;
  if (isForSomebody(request)) return false;
  end(socket, ids, 400);
  return true;
}

export function unreadableRequest({ ids, log }: Pick<Runtime, "ids" | "log">): (error: unknown) => Response {
  return (error) => {
    const status = error instanceof RequestError ? 400 : 500;
    const requestId = ids.uid();
    if (status === 500) log.error("request failed", { requestId, error: describedError(error) });
    return new Response(getBody(status), { status, headers: buildHeaders(requestId, status) });
  };
}

function isForSomebody(request: IncomingMessage): boolean {
  const hosts = request.rawHeaders.filter((name, n) => n % 2 === 0 && name.toLowerCase() === "host");
  const isOld = request.httpVersion === "1.0" && hosts.length === 0;
  const isNamed = hosts.length === 1 && isHost(request.headers.host ?? "");
  if (isOld) request.headers.host = "localhost";
  return (isNamed || isOld) && isTarget(request.url ?? "");
}

/** Node looks only at the last transfer coding, while a proxy may read others (RFC 9112 section 6.1). */
function isReadable(request: IncomingMessage): boolean {
  const coding = request.headers["transfer-encoding"];
  return coding === undefined || coding.trim().toLowerCase() === "chunked";
}

function isTarget(text: string): boolean {
  return text.startsWith("/") || (/^https?:\/\//i.test(text) && URL.canParse(text));
}

function isHost(host: string): boolean {
  return host !== "" && !/[\s/\\?#@]/.test(host) && URL.canParse(`http://${host}/`);
}

function getStatus({ code }: NodeJS.ErrnoException): number {
  if (code === "HPE_HEADER_OVERFLOW") return 431;
  return code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
}

function refuse(response: ServerResponse, ids: Pick<Ids, "uid">, status: number): void {
  const headers = { ...buildHeaders(ids.uid(), status), "Content-Length": Buffer.byteLength(getBody(status)) };
  response.setHeader("Connection", "close").writeHead(status, headers).end(getBody(status));
}

function end(socket: Socket, ids: Pick<Ids, "uid">, status: number): void {
  if (closesBehindPending(socket)) return;
  socket.write(rawAnswer(ids, status));
  socket.destroySoon();
}

function rawAnswer(ids: Pick<Ids, "uid">, status: number): string {
  const body = getBody(status);
  const headers = {
    ...buildHeaders(ids.uid(), status),
    "Content-Length": Buffer.byteLength(body),
    Connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`;
}

function getBody(status: number): string {
  return JSON.stringify({ detail: STATUS_CODES[status] });
}

function buildHeaders(requestId: string, status: number): Record<string, string> {
  return {
    "Content-Type": "application/json",
    "X-Request-ID": requestId,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    [ERROR_HEADER]: status === 500 ? "internal" : "invalid",
  };
}

/**
 * Browsers wait for each answer. A client that pipelines retries its unanswered requests if the connection closes (RFC
 * 9112 section 9.3.2).
 */
const MOST_UNANSWERED = 100;

/** Unanswered requests by connection, in order of arrival. */
const unanswered = new WeakMap<Duplex, Map<ServerResponse, IncomingMessage>>();

function noteRequest(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  if (isClosing(socket)) return;
  const pending = unanswered.get(socket) ?? new Map();
  if (pending.size >= MOST_UNANSWERED) return void socket.destroy();
  unanswered.set(socket, pending.set(response, request));
  response.once("close", () => pending.delete(response));
}

/** Node tells only the response whose turn it is that its connection has closed. Handlers of the others would wait forever. */
function closeQueued(socket: Duplex): void {
  for (const response of unanswered.get(socket)?.keys() ?? []) {
    if (response.socket) continue;
    response.destroy();
    // Newer releases of Node emit it in this tick.
    process.nextTick(() => response.closed || response.emit("close"));
  }
}

/**
 * Reports whether a connection closes behind an earlier answer. Later requests on it must not be processed (RFC 9112
 * section 9.6): their client would repeat them, and a proxy may take them for the body of the earlier one.
 */
function isClosing(socket: Duplex): boolean {
  if (!socket.writable) return true;
  const pending = [...(unanswered.get(socket)?.keys() ?? [])];
  return pending.some((response) => response.getHeader("connection") === "close");
}

/**
 * Closes a connection behind its pending answers, and reports whether it has any: a client would take an answer that is
 * written now for the first of them. An answer that has begun is cut off.
 */
function closesBehindPending(socket: Socket): boolean {
  // Node leaves CONNECT and upgrade sockets without an error listener.
  if (socket.listenerCount("error") === 0) socket.on("error", () => socket.destroy());
  const pending = [...(unanswered.get(socket) ?? [])];
  const [last] = pending.findLast(([, request]) => request.complete) ?? [];
  if (last && !last.headersSent) last.setHeader("Connection", "close");
  else if (last || pending.some(([response]) => response.headersSent)) socket.destroy();
  else return false;
  return true;
}

/** Patience with a client that keeps sending unwanted bytes. */
const LINGER_MS = 30_000;

/**
 * Closes a connection in two steps, first our end and then the client's. Closing both while bytes are unread resets
 * the connection, and the client may lose its answer (RFC 9112 section 9.6).
 */
function closeInTurn(socket: Socket): void {
  socket.destroySoon = () => {
    if (!socket.writable) return;
    socket.end();
    const late = setTimeout(() => socket.destroy(), LINGER_MS);
    late.unref();
    socket.once("close", () => clearTimeout(late));
    // Drain the input until the client closes its end.
    socket.resume();
  };
}
