import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

interface PendingAnswer {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** The requests of each connection that are not answered yet, in the order in which they came and are answered. */
const unanswered = new WeakMap<Duplex, Set<PendingAnswer>>();
/** Answers behind which nothing comes, though no header of theirs says so. */
const last = new WeakSet<ServerResponse>();

/** Remembers a request until its answer is sent. */
export function noteAsked(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  const all = unanswered.get(socket) ?? new Set();
  const exchange = { request, response };
  unanswered.set(socket, all.add(exchange));
  response.once("close", () => all.delete(exchange));
}

/**
 * Whether the connection is closed, or will be, before a request that comes now could be answered: then it is not to be
 * processed (RFC 9112 section 9.6), since its client would repeat what was done. Node's parser reads on until the client
 * closes.
 */
export function isBehindLast(socket: Duplex): boolean {
  return !socket.writable || [...(unanswered.get(socket) ?? [])].some(({ response }) => isLast(response));
}

/**
 * Has the connection closed behind the answers to what came before a request that nobody can read, if there are any: what
 * were written now would be taken for the first of them. Answers whether it does.
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
