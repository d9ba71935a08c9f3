import { once } from "node:events";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { pipeline } from "node:stream";
import type { Inside } from "../runs/inside.ts";
import type { LaunchPlan } from "../runs/plan.ts";
import { readRun } from "../runs/records.ts";
import { dialSocket, type ListeningSocket, openSocket } from "../supervisor/control-socket.ts";
import { createConnections } from "./connections.ts";
import { isOwnPeer } from "./own-peer.ts";

export interface Forwards {
  begin(): void;
  /**
   * Forwards a loopback port to the run. Only our own user may connect, unless `isOpenToAll`, which requires a program
   * that checks a token. Throws if the port is taken.
   */
  open(port: number, isOpenToAll?: boolean): Promise<void>;
  /** Open connections continue. */
  shut(port: number): void;
  close(): void;
}

/** Limits each port and socket, so that one run leaves descriptors for the others. */
const mostConnections = 256;

export function createForwards(
  directory: string,
  { home, network }: Pick<LaunchPlan, "home" | "network">,
  inside: () => Inside | undefined,
): Forwards {
  if (network === "shared") return nothing;
  const { connect, close } = createConnections(home, inside);
  const servers = new Map<number, Server>();
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => keepSocket(sockets, socket);
  const pass = async (outer: Socket, { host, port }: Destination, hello = ""): Promise<void> => {
    const inner = await connect(host, port);
    if (!inner || outer.destroyed) {
      inner?.destroy();
      outer.destroy();
      return;
    }
    inner.allowHalfOpen = true;
    keep(inner);
    if (hello !== "") outer.write(hello);
    joinSockets(outer, inner);
  };
  const guests = new Set<Socket>();
  let listening: ListeningSocket | undefined;
  return {
    begin: () => {
      listening = openSocket(directory, portsSocket, (outer) => {
        keep(outer);
        if (guests.size >= mostConnections) return void outer.destroy();
        guests.add(outer);
        outer.once("close", () => guests.delete(outer));
        takeDestination(outer, (destination) => void pass(outer.pause(), destination, connected));
      });
    },
    open: async (port, isOpenToAll = false) => {
      if (servers.has(port)) return;
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, async (outer) => {
        keep(outer);
        if (isOpenToAll || (await isOwnPeer(outer))) await pass(outer, { host: "127.0.0.1", port });
        else outer.destroy();
      });
      server.maxConnections = mostConnections;
      await once(server.listen(port, "127.0.0.1"), "listening");
      servers.set(port, server);
    },
    shut: (port) => {
      servers.get(port)?.close();
      servers.delete(port);
    },
    close: () => {
      close();
      listening?.close();
      for (const server of servers.values()) server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function keepSocket(sockets: Set<Socket>, socket: Socket): void {
  socket.on("error", () => socket.destroy()).once("close", () => sockets.delete(socket));
  sockets.add(socket);
}

/** Closes a socket whose first line is not a destination. */
function takeDestination(outer: Socket, then: (destination: Destination) => void): void {
  // A client that closes without a line would otherwise keep its socket open.
  const leave = () => outer.destroy();
  outer.once("end", leave).once("data", (line) => {
    outer.off("end", leave);
    const destination = destinationIn(String(line));
    if (destination) then(destination);
    else outer.destroy();
  });
}

const nothing: Forwards = {
  begin: () => undefined,
  open: async () => undefined,
  shut: () => undefined,
  close: () => undefined,
};

/** First line from a client of the run's socket. */
interface Destination {
  readonly host: "127.0.0.1" | "::1";
  readonly port: number;
}

/** Socket in the run's directory; only users who may enter the directory can connect. */
export const portsSocket = "ports";
/** Reply once connected; everything after it comes from the port. */
const connected = "+";

function destinationIn(line: string): Destination | undefined {
  try {
    const { host, port } = JSON.parse(line) as Partial<Record<keyof Destination, unknown>>;
    const isPort = typeof port === "number" && Number.isInteger(port) && port > 0 && port < 65_536;
    return isPort && (host === "127.0.0.1" || host === "::1") ? { host, port } : undefined;
  } catch {
    return undefined;
  }
}

/** Each direction ends separately, as in TCP. */
function joinSockets(left: Socket, right: Socket): void {
  const end = (error: unknown) => {
    if (error) for (const socket of [left, right]) socket.destroy();
  };
  pipeline(left, right, end);
  pipeline(right, left, end);
}

/**
 * Connects to the run's loopback, which is the machine's without its own network. Throws if no program listens, or if
 * the run is gone: its name alone must not lead to the machine.
 */
export async function connectToRun(home: string, name: string, destination: Destination): Promise<Socket> {
  const directory = join(home, "runs", name);
  const run = readRun(directory);
  if (!run) throw new Error("The environment has ended");
  const isInside = run.network === "own";
  const socket = isInside ? dialSocket(directory, portsSocket) : createConnection({ ...destination, noDelay: true });
  await once(socket, "connect");
  if (!isInside) return socket;
  socket.write(`${JSON.stringify(destination)}\n`);
  if (await isConnected(socket)) return socket;
  socket.destroy();
  throw new Error("No program listens there");
}

/** Reads the first byte and leaves the rest in the stream. */
async function isConnected(socket: Socket): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const poll = () => resolve(socket.read(1)?.toString() === connected);
  const end = () => resolve(false);
  socket.once("readable", poll).once("close", end).once("end", end).on("error", end);
  const answer = await promise;
  socket.off("readable", poll).off("close", end).off("end", end).off("error", end);
  return answer;
}
