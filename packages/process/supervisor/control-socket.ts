import { closeSync, openSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Exec } from "#core/ports/exec.ts";
import type { Inside } from "../runs/inside.ts";

/** The name of a control socket in its directory. Kept as it was: a supervisor of an earlier version listens there. */
export const controlSocketFile = "door";

/** What the control socket of a run is asked. */
export type Question =
  | { readonly ask: "inside" }
  | { readonly ask: "exec"; readonly exec: Exec }
  | { readonly ask: "wait"; readonly id: string; readonly waitMs: number };

export interface ListeningSocket {
  close(): void;
}

/**
 * Opens a control socket: it answers questions, each with one value. Only who may enter the directory can ask: what
 * is asked and answered may be secret, as the environment of a run is, and is in no file.
 */
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

/** Listens at a socket in this directory. */
export function openSocket(directory: string, name: string, onConnection: (socket: Socket) => void): ListeningSocket {
  const { path, close } = socketPath(directory, name);
  const server = createServer({ allowHalfOpen: true }, onConnection);
  // Without it nobody can come in later, and what runs inside goes on.
  server.once("error", close).listen({ path, backlog: mostWaiting }).unref();
  return {
    close: () => {
      // Its file is unlinked by its path, which is another's once the descriptor is.
      server.close();
      close();
    },
  };
}

/** A machine that is busy takes seconds to start what a run is to start; whoever asked is not kept waiting for ever. */
const patienceMs = 30_000;
const mostWaiting = 1_024;

/** How to start a process inside a living run; throws when it does not answer. */
export async function askInside(directory: string): Promise<Inside> {
  const inside = await askControlSocket<Inside | null>(directory, { ask: "inside" }, patienceMs);
  if (!inside) throw new Error("The run has not begun yet");
  return inside;
}

/**
 * What the control socket in this directory answers; throws when nothing is answered within `withinMs`. `onGiven`: it
 * has the question.
 */
export async function askControlSocket<Answer>(
  directory: string,
  question: object,
  withinMs: number,
  onGiven?: () => void,
): Promise<Answer> {
  const socket = dialSocket(directory, controlSocketFile);
  socket.setTimeout(withinMs, () => socket.destroy(new Error("The run is silent")));
  socket.once("finish", () => onGiven?.()).end(JSON.stringify(question));
  return JSON.parse(await readText(socket)) as Answer;
}

/** Connects to a socket in this directory. */
export function dialSocket(directory: string, name: string): Socket {
  const { path, close } = socketPath(directory, name);
  return createConnection({ path, allowHalfOpen: true }).once("close", close);
}

/**
 * Whether somebody listens there and does not answer in time. Where this very process was late as well the machine is,
 * and nothing is known: that is no silence.
 */
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

/** The address of a socket has room for 107 bytes (unix(7)), and a home may lie deeper than that. */
function socketPath(directory: string, name: string): { readonly path: string; readonly close: () => void } {
  if (process.platform !== "linux") return { path: join(directory, name), close: () => undefined };
  let descriptor: number | undefined = openSync(directory, "r");
  const close = () => {
    if (descriptor !== undefined) closeSync(descriptor);
    descriptor = undefined;
  };
  return { path: `/proc/self/fd/${descriptor}/${name}`, close };
}
