import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { MOST_TERMINALS, NoTerminal, type WantedWebTerminal } from "#gateway/ports/reach.ts";
import { namesIn } from "#process/files.ts";
import type { Inside } from "#process/runs/inside.ts";
import { dialSocket } from "#process/supervisor/control-socket.ts";
import { openSession } from "#process/supervisor/sessions.ts";
import { holderEnvironment, holderWords, terminalCommand } from "./terminal-program.ts";
import type { WantedWebTerminal as HeldTerminal } from "./web-terminal-host.ts";

interface RunPlace {
  readonly directory: string;
  /** Throws if the run has ended. */
  enter(): Promise<Inside>;
}

/** Directory of the sockets of a run's terminals. */
const folder = "terminals";
const host = fileURLToPath(new URL("web-terminal-host.ts", import.meta.url));

/** Opens a terminal that a process beside the sandbox holds. It counts as a session while the stream is open. */
export async function openWebTerminal(
  { directory, enter }: RunPlace,
  { id, isNew, columns, lines }: WantedWebTerminal,
  listWords: (inside: Inside) => string[],
): Promise<Duplex> {
  const inside = await enter();
  const place = join(directory, folder);
  if (isNew) {
    await makeRoom(place);
    const { isNamed: _, ...command } = terminalCommand(inside, listWords(inside), "xterm-256color");
    await startHolder({ ...command, columns, lines, directory: place, name: id });
  }
  const stream = await dial(place, id);
  if (!stream) throw new NoTerminal("gone");
  const unmark = openSession(directory, process.pid);
  return stream.once("close", unmark);
}

/** Removes sockets that a killed holder left. Throws if the run has as many terminals as it may have. */
async function makeRoom(place: string): Promise<void> {
  mkdirSync(place, { recursive: true, mode: 0o700 });
  const names = namesIn(place);
  if (names.length < MOST_TERMINALS) return;
  const dialled = await Promise.all(names.map((name) => dial(place, name)));
  for (const [at, socket] of dialled.entries()) {
    socket?.destroy();
    if (!socket) rmSync(join(place, String(names[at])), { force: true });
  }
  if (dialled.filter(Boolean).length >= MOST_TERMINALS) throw new NoTerminal("tooMany");
}

async function dial(place: string, name: string): Promise<Socket | undefined> {
  try {
    const socket = dialSocket(place, name);
    await once(socket, "connect");
    return socket.on("error", () => socket.destroy());
  } catch {
    return undefined;
  }
}

async function startHolder(wanted: HeldTerminal): Promise<void> {
  const holder: ChildProcess = spawn(process.execPath, holderWords(host), {
    detached: true,
    env: holderEnvironment(),
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  holder.on("error", () => undefined);
  const closed = new Promise<undefined>((resolve) => holder.once("close", () => resolve(undefined)));
  holder.send(wanted, () => undefined);
  const [news] = (await Promise.race([once(holder, "message"), closed])) ?? [];
  if (news === undefined) throw new NoTerminal("unsupported");
  holder.unref();
}
