import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Ids } from "#core/context.ts";

/**
 * Answers what Node would refuse without a word, before it is a request of any API: with the headers of every answer
 * (contracts/common section 4) and gpu-dev's envelope, which is that of unknown paths.
 */
export function refuseInWords(server: Server, ids: Pick<Ids, "uid">): void {
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy();
    socket.end(rawAnswer(ids, statusOf(error)));
  });
  server.on("checkExpectation", (_: IncomingMessage, response: ServerResponse) => refuse(response, ids, 417));
}

/** Whether a request says exactly one host that can be one, and a path (RFC 9112 section 3.2); else it is answered. */
export function isForSomebody(request: IncomingMessage, response: ServerResponse, ids: Pick<Ids, "uid">): boolean {
  const hosts = request.rawHeaders.filter((name, n) => n % 2 === 0 && name.toLowerCase() === "host");
  const isOld = request.httpVersion === "1.0" && hosts.length === 0;
  const isNamed = hosts.length === 1 && isHost(request.headers.host ?? "");
  if (isOld) request.headers.host = "localhost";
  if ((isNamed || isOld) && request.url !== "*") return true;
  refuse(response, ids, 400);
  return false;
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
