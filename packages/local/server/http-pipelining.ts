import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

interface PendingAnswer {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Unanswered requests by connection, in order of arrival. */
const unanswered = new WeakMap<Duplex, Set<PendingAnswer>>();
const last = new WeakSet<ServerResponse>();

export function noteAsked(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  const all = unanswered.get(socket) ?? new Set();
  const exchange = { request, response };
  unanswered.set(socket, all.add(exchange));
  response.once("close", () => all.delete(exchange));
}

/**
 * Reports whether the connection closes before a new request could be answered. Such a request must not be processed
 * (RFC 9112 section 9.6), because its client would repeat it. Node's parser reads on until the client closes.
 */
export function isBehindLast(socket: Duplex): boolean {
  return !socket.writable || [...(unanswered.get(socket) ?? [])].some(({ response }) => isLast(response));
}

/**
 * Closes the connection behind the pending answers, if there are any, and reports whether it does. An answer written
 * now would be taken for the first of them.
 */
export function closeBehindOthers(socket: Socket): boolean {
  const all = [...(unanswered.get(socket) ?? [])];
  const before = all.findLast(({ request }) => request.complete) ?? all.find(({ response }) => response.headersSent);
  if (!before) return false;
  const { response } = before;
  if (!response.headersSent) response.setHeader("Connection", "close");
  else if (response.writableEnded) response.once("close", () => socket.destroySoon());
  else socket.destroy();
  last.add(response);
  return true;
}

function isLast(response: ServerResponse): boolean {
  return last.has(response) || response.getHeader("connection") === "close";
}
