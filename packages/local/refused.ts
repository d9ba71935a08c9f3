import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Ids } from "#core/ports/ids.ts";

/**
 * Answers what Node would refuse without a word, before it is a request of any API: with the headers of every answer
 * (docs/apis/common.md#headers-and-bodies) and gpu-dev's envelope, which is that of unknown paths.
 */
export function refuseInWords(server: Server, ids: Pick<Ids, "uid">): void {
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy();
    socket.end(rawAnswer(ids, statusOf(error)));
  });
  server.on("checkExpectation", (_: IncomingMessage, response: ServerResponse) => refuse(response, ids, 417));
}

/** Answers a request that does not say for whom it is, or how its body is to be read, and says whether it did. */
export function isRefused(request: IncomingMessage, response: ServerResponse, ids: Pick<Ids, "uid">): boolean {
  if (!isForSomebody(request)) refuse(response, ids, 400);
  else if (!isReadable(request)) refuse(response, ids, 501);
  return response.headersSent;
}

/** The same for one that asks for another protocol. */
export function isUpgradeRefused(request: IncomingMessage, socket: Duplex, ids: Pick<Ids, "uid">): boolean {
  if (isForSomebody(request)) return false;
  socket.on("error", () => socket.destroy()).end(rawAnswer(ids, 400));
  return true;
}

/** Whether a request says exactly one host that can be one, and a path or a whole address (RFC 9112 section 3.2). */
function isForSomebody(request: IncomingMessage): boolean {
  const hosts = request.rawHeaders.filter((name, n) => n % 2 === 0 && name.toLowerCase() === "host");
  const isOld = request.httpVersion === "1.0" && hosts.length === 0;
  const isNamed = hosts.length === 1 && isHost(request.headers.host ?? "");
  if (isOld) request.headers.host = "localhost";
  return (isNamed || isOld) && isTarget(request.url ?? "");
}

/** Node reads any codings as the last one alone, which another server before it need not do (RFC 9112 section 6.1). */
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

function statusOf({ code }: NodeJS.ErrnoException): number {
  if (code === "HPE_HEADER_OVERFLOW") return 431;
  return code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
}

function refuse(response: ServerResponse, ids: Pick<Ids, "uid">, status: number): void {
  response.writeHead(status, { ...headersOf(ids), Connection: "close" }).end(bodyOf(status));
}

function rawAnswer(ids: Pick<Ids, "uid">, status: number): string {
  const body = bodyOf(status);
  const headers = { ...headersOf(ids), "Content-Length": Buffer.byteLength(body), Connection: "close" };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`;
}

function bodyOf(status: number): string {
  return JSON.stringify({ detail: STATUS_CODES[status] });
}

function headersOf(ids: Pick<Ids, "uid">): Record<string, string> {
  return {
    "Content-Type": "application/json",
    "X-Request-ID": ids.uid(),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
  };
}
