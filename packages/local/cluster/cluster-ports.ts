import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type Duplex, pipeline } from "node:stream";
import { isOwnPeer } from "#process/network/own-peer.ts";

export interface LocalPorts {
  /**
   * Returns the local port for a run's port, `wanted` if it is free, and the same one at every call. Only our own
   * user may connect unless `isOpenToAll` was ever set, which needs a target that asks for a token.
   */
  open(run: string, port: number, wanted: number | undefined, isOpenToAll: boolean): Promise<number>;
  close(run: string): void;
  stop(): void;
}

/** Per port, the same limit as in the process driver. */
const mostConnections = 256;
/** A stream to a pod cannot be half-closed. After the client ends, Berth waits this long for the rest. */
const restMs = 60_000;

interface OpenPort {
  readonly number: number;
  isOpenToAll: boolean;
  close(): void;
}

export function localPorts(dial: (run: string, port: number) => Promise<Duplex>): LocalPorts {
  const runs = new Map<string, Map<number, Promise<OpenPort>>>();
  const close = (run: string) => {
    for (const opening of runs.get(run)?.values() ?? []) {
      opening.then(
        (port) => port.close(),
        () => undefined,
      );
    }
    runs.delete(run);
  };
  return {
    open: async (run, port, wanted, isOpenToAll) => {
      const ports = runs.get(run) ?? new Map<number, Promise<OpenPort>>();
      runs.set(run, ports);
      const opening = ports.get(port) ?? openPort(() => dial(run, port), wanted);
      ports.set(port, opening);
      try {
        const open = await opening;
        if (isOpenToAll) open.isOpenToAll = true;
        return open.number;
      } catch (error) {
        ports.delete(port);
        throw error;
      }
    },
    close,
    stop: () => {
      for (const run of [...runs.keys()]) close(run);
    },
  };
}

async function openPort(dial: () => Promise<Duplex>, wanted = 0): Promise<OpenPort> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, async (socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy()).once("close", () => sockets.delete(socket));
    if (!open.isOpenToAll && !(await isOwnPeer(socket))) return void socket.destroy();
    dial().then(
      (stream) => join(socket, stream),
      () => socket.destroy(),
    );
  });
  server.maxConnections = mostConnections;
  await listen(server, wanted);
  const open: OpenPort = {
    number: (server.address() as AddressInfo).port,
    isOpenToAll: false,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  return open;
}

async function listen(server: Server, wanted: number): Promise<void> {
  try {
    await once(server.listen(wanted, "127.0.0.1"), "listening");
  } catch (error) {
    if (wanted === 0) throw error;
    await once(server.listen(0, "127.0.0.1"), "listening");
  }
}

function join(socket: Socket, stream: Duplex): void {
  if (socket.destroyed) return void stream.destroy();
  const end = (error: unknown) => {
    if (error) for (const side of [socket, stream]) side.destroy();
  };
  socket.once("end", () => {
    const late = setTimeout(() => stream.destroy(), restMs);
    stream.on("data", () => late.refresh()).once("close", () => clearTimeout(late));
  });
  pipeline(socket, stream, end);
  pipeline(stream, socket, end);
}
