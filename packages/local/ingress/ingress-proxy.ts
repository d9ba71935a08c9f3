import { type ClientRequest, type IncomingMessage, request, type ServerResponse } from "node:http";
import { pipeline } from "node:stream";
import { answerHeaders, requestHeaders, type SentHeaders } from "./ingress-headers.ts";
import { getPath } from "./ingress-host.ts";
import { badRequest, lateAnswer, noAnswer, type Page, show } from "./ingress-page.ts";

export interface ProxyTimes {
  readonly answerMs: number;
  readonly idleMs: number;
}

export const proxyTimes: ProxyTimes = { answerMs: 60_000, idleMs: 600_000 };

export interface Passed {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly port: number;
  readonly host: string;
  readonly scheme: string;
  readonly times: ProxyTimes;
}

export function passOn(passed: Passed): void {
  const { incoming, outgoing, times } = passed;
  const upstream = ask(passed);
  if (!upstream) return;
  upstream.once("response", (answer) => giveBack(answer, outgoing, times));
  // The client did not ask for an upgrade.
  upstream.once("upgrade", (_, socket) => {
    socket.destroy();
    failed(outgoing, noAnswer);
  });
  incoming.pipe(upstream);
  // Drain the unread body, or it would be parsed as the client's next request.
  upstream.once("close", () => incoming.unpipe(upstream).resume());
}

export function ask(passed: Passed, more: SentHeaders = {}): ClientRequest | undefined {
  const { incoming, outgoing, port, times } = passed;
  const headers = { ...requestHeaders(incoming, passed), ...more };
  const options = { host: "127.0.0.1", port, method: incoming.method ?? "GET", path: getPath(incoming), headers };
  try {
    // Use a fresh connection each time, because ports are reused by other runs.
    const upstream = request({ ...options, agent: false, setHost: false });
    const late = setTimeout(() => upstream.destroy(new Error(LATE)), times.answerMs);
    const fail = (error: Error) => failed(outgoing, error.message === LATE ? lateAnswer : noAnswer);
    upstream.on("error", fail);
    for (const event of ["response", "upgrade", "close"]) upstream.once(event, () => clearTimeout(late));
    // Ignore later request errors: the answer may be complete although the server did not read the whole request.
    for (const event of ["response", "upgrade"]) {
      upstream.once(event, () => upstream.off("error", fail).on("error", () => undefined));
    }
    outgoing.once("close", () => upstream.destroy());
    return upstream;
  } catch {
    failed(outgoing, badRequest);
    return undefined;
  }
}

export function giveBack(answer: IncomingMessage, outgoing: ServerResponse, { idleMs }: ProxyTimes): void {
  answer.setTimeout(idleMs, () => answer.destroy(new Error(LATE)));
  try {
    outgoing.writeHead(answer.statusCode ?? 502, answerHeaders(answer));
    outgoing.flushHeaders();
  } catch {
    answer.destroy();
    failed(outgoing, noAnswer);
    return;
  }
  pipeline(answer, outgoing, () => undefined);
}

const LATE = "late";

/** An answer that has begun can only be aborted. */
function failed(outgoing: ServerResponse, page: Page): void {
  if (outgoing.headersSent || outgoing.destroyed) outgoing.destroy();
  else show(outgoing, page);
}
