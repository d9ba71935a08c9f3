import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type Duplex, pipeline } from "node:stream";
import { http } from "./http.ts";

export interface PageProgram {
  readonly port: number;
  readonly cookie: string;
}

/** Forwards a request with the login's cookies. Calls `fail` without an answer. */
export function passOn(request: IncomingMessage, reply: ServerResponse, page: PageProgram, fail: () => void): void {
  const passed = ask(request, page);
  const giveUp = () => (reply.headersSent ? reply.destroy() : fail());
  passed.once("response", (answer) => giveBack(answer, reply)).on("error", giveUp);
  reply.once("close", () => passed.destroy());
  request.pipe(passed);
}

/** Forwards a WebSocket with the login's cookies: after the upgrade, all bytes in both directions. */
export function passUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, page: PageProgram): void {
  const passed = ask(request, page);
  passed.once("upgrade", (answer, inner, innerHead) => {
    socket.write(statusLines(answer), "latin1");
    socket.write(innerHead);
    inner.write(head);
    pipeline(socket, inner, () => socket.destroy());
    pipeline(inner, socket, () => inner.destroy());
  });
  passed.once("response", (answer) => {
    const reply = new http.ServerResponse(request);
    reply.shouldKeepAlive = false;
    reply.assignSocket(socket as Socket);
    reply.once("finish", () => socket.end());
    giveBack(answer, reply);
  });
  passed.on("error", () => socket.destroy());
  socket.on("error", () => passed.destroy()).once("close", () => passed.destroy());
  passed.end();
}

/** The login's cookie comes first: servers take the first of two with one name (RFC 6265, 5.4). */
function ask({ method = "GET", url, headers }: IncomingMessage, { port, cookie }: PageProgram): ClientRequest {
  const cookies = headers.cookie === undefined ? cookie : `${cookie}; ${headers.cookie}`;
  const place = { host: "127.0.0.1", port, method, path: url ?? "/" };
  // Use a connection per request, because another run may get the port later.
  return http.request({ ...place, headers: { ...headers, cookie: cookies }, agent: false, setHost: false });
}

/** Headers of one connection (RFC 9110, 7.6.1). Node writes these itself. */
const hopByHop = ["connection", "keep-alive", "transfer-encoding"];

function giveBack(answer: IncomingMessage, reply: ServerResponse): void {
  const headers = Object.entries(answer.headersDistinct).filter(([name]) => !hopByHop.includes(name));
  reply.writeHead(answer.statusCode ?? 502, Object.fromEntries(headers)).flushHeaders();
  pipeline(answer, reply, () => undefined);
}

function statusLines({ statusCode, statusMessage, rawHeaders }: IncomingMessage): string {
  const lines = rawHeaders.flatMap((name, n) => (n % 2 === 0 ? [`${name}: ${rawHeaders[n + 1]}`] : []));
  return `${[`HTTP/1.1 ${statusCode} ${statusMessage}`, ...lines].join("\r\n")}\r\n\r\n`;
}
