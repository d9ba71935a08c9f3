import { once } from "node:events";
import { realpathSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import ssh2, { type Connection, type ServerChannel } from "ssh2";
import type { Log } from "#core/ports/log.ts";
import { refusedPort } from "./refused-port.ts";
import { forward } from "./ssh-forward.ts";
import { publicKeyOf, sshHostKey } from "./ssh-host-key.ts";
import { type Guest, logIn } from "./ssh-login.ts";
import { keepSshPort, keptSshPort } from "./ssh-port.ts";
import type { SshRuns } from "./ssh-runs.ts";
import { letGo, serveSession } from "./ssh-session.ts";

export interface SshOptions {
  /** Keeps its host key and its port. */
  readonly home: string;
  readonly runs: SshRuns;
  /** Undefined: the one of last time, or a free one. */
  readonly port: number | undefined;
  readonly log: Log;
}

export interface SshServer {
  readonly port: number;
  /** By which clients know it, `<type> <base64>`. */
  readonly hostKey: string;
  stop(): Promise<void>;
}

/** One SSH server for all runs of this home, on 127.0.0.1. Throws when a port that was asked for is in use. */
export async function startSsh({ home: given, runs, port, log }: SshOptions): Promise<SshServer> {
  const home = realpathSync(given);
  const hostKey = sshHostKey(home);
  const sockets = new Map<string, Socket>();
  const connections = new Map<Connection, Client>();
  const server = new ssh2.Server({ hostKeys: [hostKey] }, (connection, { ip, port }) => {
    const client: Client = { guest: undefined, socket: sockets.get(`${ip} ${port}`) };
    connections.set(connection, client);
    connection.once("close", () => connections.delete(connection));
    serve(connection, runs, log, (guest) => {
      client.guest = guest;
    });
  });
  server.on("error", (error: Error) => log.warn("ssh failed", { error: error.message }));
  server.maxConnections = mostConnections;
  const listener = createServer((socket) => {
    const place = `${socket.remoteAddress} ${socket.remotePort}`;
    sockets.set(place, socket);
    socket.once("close", () => sockets.delete(place));
    boundOutput(socket);
    server.injectSocket(socket);
  });
  await listen(listener, home, port);
  const watching = setInterval(() => endStrangers(connections, runs), lookEveryMs);
  return {
    port: (listener.address() as AddressInfo).port,
    hostKey: publicKeyOf(hostKey),
    stop: () =>
      new Promise((resolve) => {
        clearInterval(watching);
        listener.close(() => resolve());
        for (const connection of connections.keys()) connection.end();
        // Who does not close his end is not waited for.
        setTimeout(() => {
          for (const socket of sockets.values()) socket.destroy();
        }, lastWordsMs).unref();
      }),
  };
}

/** Where a connection comes from, and into which run it was let in. */
interface Client {
  guest: Guest | undefined;
  readonly socket: Socket | undefined;
}

const mostConnections = 1_000;
/** Of one connection: a client in good order has two MiB of room for each of its channels. */
const mostUnreadBytes = 32 * 1024 * 1024;
const lastWordsMs = 200;
const lookEveryMs = 1_000;
const loginWithinMs = 30_000;
const mostAttempts = 20;

function serve(connection: Connection, runs: SshRuns, log: Log, onGuest: (guest: Guest) => void): void {
  let guest: Guest | undefined;
  let attempts = 0;
  const late = setTimeout(() => connection.end(), loginWithinMs);
  connection.once("close", () => clearTimeout(late));
  connection.on("error", () => undefined);
  connection.on("authentication", (context) => {
    attempts += 1;
    if (attempts > mostAttempts) return connection.end();
    logIn(context, runs, (one) => {
      guest = one;
    });
  });
  connection.on("ready", () => {
    clearTimeout(late);
    const own = guest;
    if (!own) return connection.end();
    onGuest(own);
    log.info("ssh login", { run: own.run });
    const relays = runs.relaysOf(own.run, connection);
    const channels = new Set<ServerChannel>();
    connection.once("close", () => {
      relays.close();
      for (const channel of channels) letGo(channel);
    });
    connection.on("session", (accept) => serveSession(accept(), runs, own.run, { relays, channels }));
    connection.on("request", (accept, reject, name, info) => void relays.answer({ accept, reject, name, info }));
    connection.on("openssh.streamlocal", (accept, reject, { socketPath }) => {
      void relays.dial(socketPath, accept, () => void reject());
    });
    connection.on("tcpip", (accept, reject, info) => {
      void forward(runs, own.run, accept, () => void reject(), info);
    });
  });
}

/** A connection ends with its run, forwarded ports included, and with its key; who does not close their end is cut off. */
function endStrangers(connections: ReadonlyMap<Connection, Client>, runs: SshRuns): void {
  for (const [connection, { guest, socket }] of connections) {
    if (!guest || runs.admits(guest.run, guest.key)) continue;
    connection.end();
    setTimeout(() => socket?.destroy(), lastWordsMs).unref();
  }
}

/** ssh2 sends as much as a client's window allows, whatever of it waits here; the window is the client's own word. */
function boundOutput(socket: Socket): void {
  const write = socket.write.bind(socket) as (...given: unknown[]) => boolean;
  socket.write = (...given: unknown[]) => {
    const isTaken = write(...given);
    if (socket.writableLength > mostUnreadBytes) socket.destroy();
    return isTaken;
  };
}

async function listen(server: Server, home: string, port: number | undefined): Promise<void> {
  if (port === undefined) {
    if (!(await tryPort(server, keptSshPort(home)))) await listenOn(server, 0);
    return keepSshPort(home, (server.address() as AddressInfo).port);
  }
  await listenOn(server, port).catch((error: unknown) => {
    throw refusedPort(error, port, "Set SSH_PORT to another one, or leave it empty for any free one");
  });
}

async function tryPort(server: Server, port: number): Promise<boolean> {
  try {
    await listenOn(server, port);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return false;
    throw error;
  }
}

async function listenOn(server: Server, port: number): Promise<void> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
}
