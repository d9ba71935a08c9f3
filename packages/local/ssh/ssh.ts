import { once } from "node:events";
import { realpathSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Connection } from "ssh2";
import type { Log } from "#core/ports/log.ts";
import { refusedPort } from "../server/refused-port.ts";
import { serveChannels } from "./channels/ssh-channels.ts";
import { boundOutput } from "./channels/ssh-output.ts";
import type { ClientAddress, SshRuns } from "./channels/ssh-runs.ts";
import { derivePublicKey, sshHostKey } from "./login/ssh-host-key.ts";
import { type Guest, logIn } from "./login/ssh-login.ts";
import { algorithms } from "./ssh-algorithms.ts";
import { type SshBounds, sshBounds } from "./ssh-bounds.ts";
import { serveEnded } from "./ssh-ended.ts";
import { boundPackets, Ssh2Server, sendBanner } from "./ssh-library.ts";
import { type SshNotices, sshNotices } from "./ssh-notices.ts";
import { keepSshPort, keptSshPort } from "./ssh-port.ts";
import { MOST_STARTUPS, sshStartups } from "./ssh-startups.ts";

export interface SshOptions {
  readonly home: string;
  readonly runs: SshRuns;
  readonly port: number | undefined;
  readonly log: Log;
  readonly loginWithinMs?: number;
}

export interface SshServer {
  readonly port: number;
  readonly hostKey: string;
  stop(): Promise<void>;
}

export async function startSsh(options: SshOptions): Promise<SshServer> {
  const { runs, port, log, loginWithinMs = LOGIN_WITHIN_MS } = options;
  const home = realpathSync(options.home);
  const hostKey = sshHostKey(home);
  const sockets = new Map<string, Socket>();
  const connections = new Map<Connection, Client>();
  const boundsOf = sshBounds();
  const notices = sshNotices(runs, Date.now);
  const startups = sshStartups(loginWithinMs);
  const begun = new Map<string, () => void>();
  const server = new Ssh2Server({ hostKeys: [hostKey], algorithms, ident }, (connection, { ip, port }) => {
    const place = `${ip} ${port}`;
    const from = { ip, port, serverPort: sockets.get(place)?.localPort ?? 0 };
    const client: Client = { guest: undefined, from, end: () => cutOff(connection, sockets.get(place)) };
    connections.set(connection, client);
    connection.once("close", () => connections.delete(connection));
    connection.once("ready", () => begun.get(place)?.());
    serve(connection, client, { runs, log, boundsOf, notices });
  });
  server.on("error", (error: Error) => log.warn("ssh failed", { error: error.message }));
  server.maxConnections = mostConnections;
  const listener = createServer({ noDelay: true }, (socket) => {
    const place = `${socket.remoteAddress} ${socket.remotePort}`;
    sockets.set(place, socket);
    const endStartup = startups.begin(socket);
    begun.set(place, endStartup);
    socket.once("close", () => {
      sockets.delete(place);
      begun.delete(place);
      endStartup();
    });
    boundOutput(socket);
    server.injectSocket(socket);
  });
  await listen(listener, home, port);
  const watching = setInterval(() => {
    notices.poll();
    endStrangers(connections.values(), runs);
  }, pollEveryMs);
  return {
    port: (listener.address() as AddressInfo).port,
    hostKey: derivePublicKey(hostKey),
    stop: () =>
      new Promise((resolve) => {
        clearInterval(watching);
        listener.close(() => resolve());
        for (const connection of connections.keys()) connection.end();
        // Do not wait for clients that keep their end open.
        setTimeout(() => {
          for (const socket of sockets.values()) socket.destroy();
        }, lastWordsMs).unref();
      }),
  };
}

interface Client {
  guest: Guest | undefined;
  readonly from: ClientAddress;
  end(): void;
}

/** Connections before the login have extra room, so a flood of them does not block those after it. */
const mostConnections = 1_000 + MOST_STARTUPS;
/** More than Linux's longest command, so that longer ones are refused with a message (ssh-session.ts). */
const LONGEST_PACKET_BYTES = 4 * 1024 * 1024;
/**
 * Clients derive supported extensions from this name. Without it OpenSSH's client does not send eow, and `ssh box yes
 * | head` never ends.
 */
const ident = "OpenSSH_9.2 Berth";
const lastWordsMs = 200;
const pollEveryMs = 1_000;
const LOGIN_WITHIN_MS = 30_000;
const mostAttempts = 20;

interface Serving {
  readonly runs: SshRuns;
  readonly log: Log;
  readonly boundsOf: (run: string) => SshBounds;
  readonly notices: SshNotices;
}

function serve(connection: Connection, client: Client, { runs, log, boundsOf, notices }: Serving): void {
  let guest: Guest | undefined;
  let attempts = 0;
  connection.on("error", () => undefined);
  connection.on("authentication", (context) => {
    attempts += 1;
    if (attempts > mostAttempts) return client.end();
    logIn(context, runs, {
      onGuest: (loggedIn) => {
        guest = loggedIn;
      },
      show: (text) => sendBanner(connection, text),
    });
  });
  connection.on("ready", () => {
    if (!guest) return client.end();
    if (guest.ended) return serveEnded(connection, guest.ended, client.end);
    client.guest = guest;
    boundPackets(connection, LONGEST_PACKET_BYTES);
    const { run, login } = guest;
    try {
      serveChannels(connection, runs, run, { login, bounds: boundsOf(run), from: client.from, notices });
      log.info("ssh login", { run });
    } catch (error) {
      log.warn("ssh refused", { run, error: error instanceof Error ? error.message : String(error) });
      client.end();
    }
  });
}

/** Ends connections whose run has ended or whose key was removed. Checks each pair of run and key once. */
function endStrangers(clients: Iterable<Client>, runs: SshRuns): void {
  const verdicts = new Map<string, boolean>();
  for (const { guest, end } of clients) {
    if (!guest) continue;
    const name = `${guest.run} ${guest.key}`;
    const isAdmitted = verdicts.get(name) ?? runs.admits(guest.run, guest.key);
    verdicts.set(name, isAdmitted);
    if (!isAdmitted) end();
  }
}

function cutOff(connection: Connection, socket: Socket | undefined): void {
  connection.end();
  setTimeout(() => socket?.destroy(), lastWordsMs).unref();
}

async function listen(server: Server, home: string, port: number | undefined): Promise<void> {
  if (port === undefined) {
    if (!(await tryPort(server, keptSshPort(home)))) await listenOn(server, 0);
    return keepSshPort(home, (server.address() as AddressInfo).port);
  }
  await listenOn(server, port).catch((error: unknown) => {
    throw refusedPort(error, port, "Set SSH_PORT to another port, or leave it empty for any free port");
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
