import { closeSync, openSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { join } from "node:path";
import type { Inside } from "./inside.ts";

/**
 * Opened by the launcher, which alone knows the environment of its run: that is secret and in no file. Only who may
 * enter the run's directory can ask.
 */
export function openDoor(directory: string, inside: () => Inside | undefined): void {
  const { path, close } = socketPath(directory);
  const server = createServer((socket) => {
    socket.on("error", () => undefined).end(JSON.stringify(inside() ?? null));
  });
  // Without a door nobody can come in later, and what runs inside goes on.
  server.once("error", close).listen(path, close).unref();
}

const patienceMs = 3_000;

/** How to start a process inside a living run; throws when it does not answer. */
export async function askDoor(directory: string): Promise<Inside> {
  const { path, close } = socketPath(directory);
  const socket = createConnection(path).setTimeout(patienceMs, () => socket.destroy(new Error("The run is silent")));
  try {
    let text = "";
    for await (const part of socket.setEncoding("utf8")) text += String(part);
    const inside = JSON.parse(text) as Inside | null;
    if (!inside) throw new Error("The run has not begun yet");
    return inside;
  } finally {
    close();
  }
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
