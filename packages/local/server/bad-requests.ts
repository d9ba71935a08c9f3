import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { RequestError } from "@hono/node-server";
import type { Ids } from "#core/ports/ids.ts";
import { ERROR_HEADER } from "#http/answers/error-code.ts";
import { describedError } from "#http/answers/problem-response.ts";
import type { Runtime } from "#http/runtime.ts";
import { closeBehindOthers, isBehindLast, noteAsked } from "./http-pipelining.ts";
import { closeInTurn } from "./lingering-close.ts";

/**
 * Answers requests that Node would refuse silently, with the usual headers (docs/apis/common.md#headers-and-bodies)
 * and the envelope of gpu-dev, which unknown paths get too.
 */
export function answerBadRequests(server: Server, ids: Pick<Ids, "uid">): void {
  server.on("connection", closeInTurn);
  server.prependListener("request", (request: IncomingMessage, response: ServerResponse) => {
    if (!isBehindLast(request.socket)) noteAsked(request, response);
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (socket.destroyed || error.code === "ECONNRESET") return void socket.destroy();
    // Ignore everything behind the last answer.
    if (!isBehindLast(socket)) end(socket, ids, getStatus(error));
  });
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    if (isBehindLast(request.socket)) return void request.resume();
    noteAsked(request, response);
    refuse(response, ids, 417);
  });
  server.on("connect", ({ socket }: IncomingMessage) => {
    if (isBehindLast(socket)) socket.destroy();
    else end(socket, ids, 400);
  });
}

export function isRefused(request: IncomingMessage, response: ServerResponse, ids: Pick<Ids, "uid">): boolean {
  if (isBehindLast(request.socket)) {
    // Drain the body, or the client would never finish.
    request.resume();
    return true;
  }
  if (!isForSomebody(request)) refuse(response, ids, 400);
  else if (!isReadable(request)) refuse(response, ids, 501);
  return response.headersSent;
}

/**
 * Does the same for an upgrade. If earlier requests are unanswered, the connection closes behind them: the client
 * would take the refusal for the first of those answers.
 */
export function isUpgradeRefused(request: IncomingMessage, ids: Pick<Ids, "uid">): boolean {
  const { socket } = request;
  if (isBehindLast(socket)) {
    socket.destroy();
    return true;
  }
  if (isClosedBehindOthers(socket)) return true;
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
  if (isClosedBehindOthers(socket)) return;
  socket.write(rawAnswer(ids, status));
  socket.destroySoon();
}

function isClosedBehindOthers(socket: Socket): boolean {
  // Node leaves CONNECT and upgrade sockets without an error listener.
  if (socket.listenerCount("error") === 0) socket.on("error", () => socket.destroy());
  return closeBehindOthers(socket);
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
