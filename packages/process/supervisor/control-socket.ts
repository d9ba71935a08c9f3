import { closeSync, openSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Exec } from "#core/ports/exec.ts";
import type { Inside } from "../runs/inside.ts";

/** Name of a control socket in its directory. It must not change: supervisors of earlier releases listen there. */
export const controlSocketFile = "door";

export type Question =
  | { readonly ask: "inside" }
  | { readonly ask: "exec"; readonly exec: Exec }
  | { readonly ask: "wait"; readonly id: string; readonly waitMs: number };

export interface ListeningSocket {
  close(): void;
}

/** Answers requests with JSON. Answers may be secret, so only users who may enter the directory can ask. */
export function openControlSocket<Asked = Question>(
  directory: string,
  answer: (question: Asked) => unknown,
): ListeningSocket {
  return openSocket(directory, controlSocketFile, (socket) => {
    socket.on("error", () => undefined);
    void readText(socket)
      .then(async (text) => socket.end(JSON.stringify((await answer(JSON.parse(text) as Asked)) ?? null)))
      .catch(() => socket.destroy());
  });
}

export function openSocket(directory: string, name: string, onConnection: (socket: Socket) => void): ListeningSocket {
  const { path, close } = socketPath(directory, name);
  const server = createServer({ allowHalfOpen: true }, onConnection);
  // Later commands cannot enter without the socket, but the run continues.
  server.once("error", close).listen({ path, backlog: mostWaiting }).unref();
  return {
    close: () => {
      // Close the server first: it unlinks the socket through the descriptor's path, which may be reused after `close`.
      server.close();
      close();
    },
  };
}

/** Callers must not wait forever, but a busy machine takes seconds to start a run. */
const patienceMs = 30_000;
const mostWaiting = 1_024;

export async function askInside(directory: string): Promise<Inside> {
  const inside = await askControlSocket<Inside | null>(directory, { ask: "inside" }, patienceMs);
  if (!inside) throw new Error("The run has not begun yet");
  return inside;
}

/** Throws without an answer within `withinMs`. Calls `onGiven` once the request is sent. */
export async function askControlSocket<Answer>(
  directory: string,
  question: object,
  withinMs: number,
  onGiven?: () => void,
): Promise<Answer> {
  const socket = dialSocket(directory, controlSocketFile);
  socket.setTimeout(withinMs, () => socket.destroy(new Error("The run does not answer")));
  socket.once("finish", () => onGiven?.()).end(JSON.stringify(question));
  return JSON.parse(await readText(socket)) as Answer;
}

export function dialSocket(directory: string, name: string): Socket {
  const { path, close } = socketPath(directory, name);
  return createConnection({ path, allowHalfOpen: true }).once("close", close);
}

/** Reports that a process listens but does not answer in time, unless this process was late itself. */
export async function isSilent(directory: string, question: object, withinMs: number): Promise<boolean> {
  const begun = performance.now();
  const answers = await askControlSocket(directory, question, withinMs).then(
    () => true,
    () => false,
  );
  const tookMs = performance.now() - begun;
  return !answers && tookMs > withinMs * 0.9 && tookMs < withinMs * 1.2;
}

async function readText(socket: Socket): Promise<string> {
  let text = "";
  for await (const part of socket.setEncoding("utf8")) text += String(part);
  return text;
}

/** Shortens the path: a socket address has room for 107 bytes (unix(7)), and a home may be deeper than that. */
function socketPath(directory: string, name: string): { readonly path: string; readonly close: () => void } {
  if (process.platform !== "linux") return { path: join(directory, name), close: () => undefined };
  let descriptor: number | undefined = openSync(directory, "r");
  const close = () => {
    if (descriptor !== undefined) closeSync(descriptor);
    descriptor = undefined;
  };
  return { path: `/proc/self/fd/${descriptor}/${name}`, close };
}
