import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { onTestFinished } from "vitest";
import { selfSigned } from "#kubernetes/fixtures/loopback-fixture.ts";

/** A domain that the browser of these tests finds on this machine, at any depth. */
export const domain = "berth.example";

/** A request as the browser sent it, and the status that the stack answered it with. */
interface PassedRequest {
  readonly site: string;
  readonly hasCookie: boolean;
  readonly status: number | undefined;
}

/** A front with TLS, as a deployment has one. */
interface Front {
  /** The console's address, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  readonly requests: readonly PassedRequest[];
}

/**
 * Opens a front of a running stack, whose console is at `stackUrl`, until the test ends. The console has the host
 * `console` of the domain. Other hosts reach the stack unchanged.
 */
export async function openFront(stackUrl: string): Promise<Front> {
  const requests: PassedRequest[] = [];
  const server = createServer(selfSigned());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const url = `https://console.${domain}:${port}`;
  const send = (incoming: IncomingMessage) => sendOn(incoming, url, stackUrl, (passed) => requests.push(passed));
  server.on("request", (incoming, outgoing) => {
    const sent = send(incoming).on("response", (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(sent.on("error", () => outgoing.destroy()));
  });
  server.on("upgrade", (incoming, socket) => {
    send(incoming)
      .on("response", ({ statusCode }) => socket.end(`HTTP/1.1 ${statusCode} Refused\r\n\r\n`))
      .on("upgrade", (_, upgraded) => join(socket, upgraded))
      .on("error", () => socket.destroy())
      .end();
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url, port, requests };
}

/** Sends a request to the stack. In one for the console, its host and its own origin become those of the stack. */
function sendOn(incoming: IncomingMessage, url: string, stackUrl: string, note: (passed: PassedRequest) => void) {
  const stack = new URL(stackUrl);
  const headers = { ...incoming.headers };
  if (headers.host === new URL(url).host) headers.host = stack.host;
  if (headers.origin === url) headers.origin = stack.origin;
  const { method, url: path } = incoming;
  const noteAnswer = ({ statusCode: status }: IncomingMessage) => {
    const hasCookie = headers.cookie?.includes("__Host-berth=") ?? false;
    note({ site: String(headers["sec-fetch-site"]), hasCookie, status });
  };
  return request({ host: "127.0.0.1", port: stack.port, method, path, headers })
    .on("response", noteAnswer)
    .on("upgrade", noteAnswer);
}

/** Lets the browser open its socket. What it sends is of no interest: that it opened is the failure. */
function join(socket: Duplex, upgraded: Duplex): void {
  socket.write("HTTP/1.1 101 Switching Protocols\r\n\r\n");
  socket.pipe(upgraded).pipe(socket);
}
