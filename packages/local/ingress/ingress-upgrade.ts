import type { IncomingMessage } from "node:http";
import { type Duplex, pipeline } from "node:stream";
import { answerHeaders } from "./ingress-headers.ts";
import { ask, giveBack, type Passed } from "./ingress-proxy.ts";

export interface PassedUpgrade extends Passed {
  readonly socket: Duplex;
  readonly head: Buffer;
}

export function passUpgrade(passed: PassedUpgrade): void {
  const { outgoing, socket, head, times } = passed;
  const upstream = ask(passed, { connection: "Upgrade", upgrade: "websocket" });
  if (!upstream) return;
  upstream.once("response", (answer) => giveBack(answer, outgoing, times));
  upstream.once("upgrade", (answer, inner, innerHead) => {
    inner.on("error", () => inner.destroy());
    outgoing.statusCode = 101;
    outgoing.detachSocket(socket as Parameters<typeof outgoing.detachSocket>[0]);
    socket.once("close", () => outgoing.emit("close"));
    socket.write(switching(answer));
    if (innerHead.length > 0) socket.write(innerHead);
    if (head.length > 0) inner.write(head);
    inner.setTimeout(times.idleMs, () => inner.destroy());
    pipeline(socket, inner, () => socket.destroy());
    pipeline(inner, socket, () => inner.destroy());
  });
  upstream.end();
}

function switching(answer: IncomingMessage): Buffer {
  const headers = { connection: "Upgrade", upgrade: "websocket", ...answerHeaders(answer) };
  const lines = Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().map((value) => `${name}: ${value}`),
  );
  return Buffer.from(`${["HTTP/1.1 101 Switching Protocols", ...lines].join("\r\n")}\r\n\r\n`, "latin1");
}
