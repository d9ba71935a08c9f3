import { closeSync, openSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Exec } from "#core/context.ts";
import type { Inside } from "./inside.ts";

/** What can be asked at the door of a run. */
export type Question =
  | { readonly ask: "inside" }
  | { readonly ask: "exec"; readonly exec: Exec }
  | { readonly ask: "wait"; readonly id: string; readonly waitMs: number };

/**
 * Opened by the launcher, which alone knows the environment of its run: that is secret and in no file. Only who may
 * enter the run's directory can ask.
 */
export function openDoor(directory: string, answer: (question: Question) => unknown): void {
  const { path, close } = socketPath(directory);
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    void textOf(socket)
      .then(async (text) => socket.end(JSON.stringify((await answer(JSON.parse(text) as Question)) ?? null)))
      .catch(() => socket.destroy());
  });
  // Without a door nobody can come in later, and what runs inside goes on.
  server.once("error", close).listen({ path, backlog: mostWaiting }, close).unref();
}

const patienceMs = 3_000;
const mostWaiting = 1_024;

/** How to start a process inside a living run; throws when it does not answer. */
export async function askInside(directory: string): Promise<Inside> {
  const inside = await askDoor<Inside | null>(directory, { ask: "inside" }, patienceMs);
  if (!inside) throw new Error("The run has not begun yet");
  return inside;
}

/** The answer of a living run's launcher; throws when none comes within `withinMs`. */
export async function askDoor<Answer>(directory: string, question: Question, withinMs: number): Promise<Answer> {
  const { path, close } = socketPath(directory);
  const socket = createConnection({ path, allowHalfOpen: true });
  socket.setTimeout(withinMs, () => socket.destroy(new Error("The run is silent")));
  try {
    socket.end(JSON.stringify(question));
    return JSON.parse(await textOf(socket)) as Answer;
  } finally {
    close();
  }
}

async function textOf(socket: Socket): Promise<string> {
  let text = "";
  for await (const part of socket.setEncoding("utf8")) text += String(part);
  return text;
}

/** The address of a socket has room for 107 bytes (unix(7)), and a home may lie deeper than that. */
function socketPath(directory: string): { readonly path: string; readonly close: () => void } {
  const name = "door";
  if (process.platform !== "linux") return { path: join(directory, name), close: () => undefined };
  let descriptor: number | undefined = openSync(directory, "r");
  const close = () => {
    if (descriptor !== undefined) closeSync(descriptor);
    descriptor = undefined;
  };
  return { path: `/proc/self/fd/${descriptor}/${name}`, close };
}
