import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import type { Inside } from "../runs/inside.ts";
import { compileCache, systemPath } from "../sandbox/local-path.ts";
import { isAlive } from "../supervisor/process-identity.ts";
import type { Wanted } from "./connector.ts";
import { enteringNetwork } from "./network.ts";

/** Connections into a run's network namespace, which this process is not in. */
export interface Connections {
  /** Resolves with undefined if no program listens. */
  connect(host: "127.0.0.1" | "::1", port: number): Promise<Socket | undefined>;
  close(): void;
}

const connector = fileURLToPath(new URL("./connector.ts", import.meta.url));
/** Idle time of a connector; a page usually opens several connections. */
const idleMs = 3_000;

/** Connects through a connector process, which starts on demand and ends when idle. */
export function createConnections(home: string, inside: () => Inside | undefined): Connections {
  const waiting = new Map<number, (socket: Socket | undefined) => void>();
  let child: ChildProcess | undefined;
  let idle: NodeJS.Timeout | undefined;
  let lastId = 0;
  let isClosed = false;

  const answer = (id: number, socket: Socket | undefined): void => {
    waiting.get(id)?.(socket);
    waiting.delete(id);
    if (waiting.size > 0) return;
    clearTimeout(idle);
    idle = setTimeout(letGo, idleMs).unref();
  };
  const letGo = (): void => {
    if (child?.connected) child.disconnect();
    child = undefined;
  };
  const begin = (pid: number, name: string): ChildProcess => {
    const begun = start(home, pid, name);
    const over = () => {
      if (child !== begun) return;
      child = undefined;
      for (const id of [...waiting.keys()]) answer(id, undefined);
    };
    begun.once("exit", over).once("error", over);
    begun.on("message", ({ id }: Wanted, socket) => answer(id, socket as Socket | undefined));
    return begun;
  };
  return {
    connect: (host, port) => {
      const place = inside();
      if (isClosed || !place?.sandbox || !isAlive(place.sandbox)) return Promise.resolve(undefined);
      clearTimeout(idle);
      child ??= begin(place.sandbox.pid, place.name);
      lastId += 1;
      const wanted: Wanted = { id: lastId, host, port };
      const { promise, resolve } = Promise.withResolvers<Socket | undefined>();
      waiting.set(wanted.id, resolve);
      child.send(wanted, (error) => error && answer(wanted.id, undefined));
      return promise;
    },
    close: () => {
      isClosed = true;
      letGo();
      for (const id of [...waiting.keys()]) answer(id, undefined);
    },
  };
}

function start(home: string, pid: number, name: string): ChildProcess {
  const [file = "", ...args] = [...enteringNetwork(String(pid)), process.execPath, connector];
  const env = { PATH: systemPath, BERTH_RUN: name, NODE_COMPILE_CACHE: compileCache(home) };
  return spawn(file, args, { cwd: "/", env, detached: true, stdio: ["ignore", "ignore", "ignore", "ipc"] });
}
