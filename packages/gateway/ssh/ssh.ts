import { createServer, type Server, type Socket } from "node:net";
import type { Algorithms, Connection } from "ssh2";
import type { Log } from "#core/ports/log.ts";
import { watch } from "../directory/watch.ts";
import { withoutMapping } from "../ports/client-address.ts";
import { fullNotes } from "../ports/full-notes.ts";
import type { GatewayPorts } from "../ports/reach.ts";
import { boundShortStays } from "../ports/short-stays.ts";
import { serveChannels } from "./channels/ssh-channels.ts";
import { boundInput } from "./channels/ssh-input.ts";
import type { ClientAddress } from "./channels/ssh-session.ts";
import { endStrangers } from "./end-strangers.ts";
import { derivePublicKey } from "./login/ssh-keys.ts";
import { type Guest, logIn } from "./login/ssh-login.ts";
import { MOST_STARTUPS, MOST_VISITORS, type SshBounds, sshBounds } from "./ssh-bounds.ts";
import { boundPackets, Ssh2Server, sendBanner } from "./ssh-library.ts";
import { type SshNotices, serveEnded, sshNotices } from "./ssh-notices.ts";
import { boundOutput, boundTogether, HeldBytes, MOST_HELD_BYTES } from "./ssh-output.ts";

export interface SshOptions extends GatewayPorts {
  /** Private key in the form of OpenSSH. */
  readonly hostKey: string;
  /** Makes the server listen, and returns its port. */
  readonly listen: (server: Server) => Promise<number>;
  readonly log: Log;
  readonly loginWithinMs?: number;
  /** How long the owner of an ended environment may stay. */
  readonly visitMs?: number;
  readonly mostConnections?: number;
  /** Reports whether clients may connect from an address. By default all may. */
  readonly isAllowed?: (address: string) => boolean;
}

export interface SshServer {
  readonly port: number;
  readonly hostKey: string;
  /** Accepts no more connections. Resolves when the open ones have ended. */
  drain(): Promise<void>;
  stop(): Promise<void>;
}

export async function startSsh(options: SshOptions): Promise<SshServer> {
  const { directory, hostKey, listen, log, isAllowed = () => true } = options;
  const { loginWithinMs = LOGIN_WITHIN_MS, visitMs = READ_WITHIN_MS, mostConnections = MOST_CONNECTIONS } = options;
  const open = new Map<string, HeldBytes<Socket>>();
  const connections = new Map<Connection, Client>();
  const boundsOf = sshBounds();
  const boundAll = boundTogether(MOST_HELD_BYTES);
  const notices = sshNotices(directory, Date.now);
  const noteFull = fullNotes(log, Date.now);
  const beginStartup = boundShortStays(loginWithinMs, MOST_STARTUPS, () => noteFull("SSH logins", MOST_STARTUPS));
  const beginVisit = boundShortStays(visitMs, MOST_VISITORS);
  const begun = new Map<string, () => void>();
  const server = new Ssh2Server({ hostKeys: [hostKey], algorithms, ident }, (connection, { ip, port }) => {
    const place = `${ip} ${port}`;
    const held = open.get(place);
    const from = { ip: withoutMapping(ip), port, serverPort: held?.socket.localPort ?? 0 };
    const client: Client = { guest: undefined, from, held, end: () => cutOff(connection, held?.socket) };
    connections.set(connection, client);
    connection.once("close", () => connections.delete(connection));
    connection.once("ready", () => begun.get(place)?.());
    serve(connection, client, { ...options, boundsOf, beginVisit, notices });
  });
  server.on("error", (error: Error) => log.warn("ssh failed", { error: error.message }));
  const listener = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }, (socket) => {
    const isFull = open.size >= mostConnections;
    if (isFull) noteFull("SSH connections", mostConnections);
    if (isFull || !isAllowed(socket.remoteAddress ?? "")) return void socket.destroy();
    const place = `${socket.remoteAddress} ${socket.remotePort}`;
    const endStartup = beginStartup(socket);
    begun.set(place, endStartup);
    socket.once("close", () => {
      open.delete(place);
      begun.delete(place);
      endStartup();
    });
    boundOutput(socket);
    const held = new HeldBytes(socket);
    open.set(place, held);
    boundAll(held);
    server.injectSocket(socket);
  });
  const port = await listen(listener);
  const drain = () => new Promise<void>((resolve) => listener.close(() => resolve()));
  const counting = setInterval(() => {
    for (const held of open.values()) held.grow();
  }, pollEveryMs);
  const stopWatching = watch(
    () => Promise.all([notices.poll(), endStrangers(connections.values(), directory, notices)]),
    pollEveryMs,
    (error) => log.warn("ssh connections not checked", { error: String(error) }),
  );
  return {
    port,
    hostKey: derivePublicKey(hostKey),
    drain,
    stop: () => {
      clearInterval(counting);
      stopWatching();
      const drained = drain();
      for (const connection of connections.keys()) connection.end();
      // Do not wait for clients that keep their end open.
      setTimeout(() => {
        for (const { socket } of open.values()) socket.destroy();
      }, lastWordsMs).unref();
      return drained;
    },
  };
}

interface Client {
  guest: Guest | undefined;
  readonly from: ClientAddress;
  readonly held: HeldBytes<Socket> | undefined;
  end(): void;
}

/** Connections before the login have extra room, so a flood of them does not block those after it. */
const MOST_CONNECTIONS = 1_000 + MOST_STARTUPS;
/** More than Linux's longest command, so that longer ones are refused with a message (ssh-session.ts). */
const LONGEST_PACKET_BYTES = 4 * 1024 * 1024;
/**
 * Clients derive supported extensions from this name. Without it OpenSSH's client does not send eow, and `ssh box yes
 * | head` never ends.
 */
const ident = "OpenSSH_9.2 Berth";
/**
 * Algorithms on top of ssh2's safe defaults for key exchange. Excludes SHA-1, compression before the login, because the
 * server would inflate packets of strangers, and ChaCha20. OpenSSH's client prefers ChaCha20, which takes longer than
 * AES: ssh2 creates three ciphers for each packet, and computes Poly1305 in WebAssembly.
 */
const algorithms: Algorithms = {
  cipher: ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr"],
  hmac: ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"],
  compress: ["none", "zlib@openssh.com"],
};
/** Finds clients that are gone, before a load balancer drops the idle connection (100 minutes at most on AWS). */
const KEEP_ALIVE_MS = 30 * 60_000;
const lastWordsMs = 200;
const pollEveryMs = 1_000;
const LOGIN_WITHIN_MS = 30_000;
const READ_WITHIN_MS = 10_000;
const mostAttempts = 20;

interface Serving extends GatewayPorts {
  readonly log: Log;
  readonly boundsOf: (run: string) => SshBounds;
  readonly beginVisit: ReturnType<typeof boundShortStays>;
  readonly notices: SshNotices;
}

function serve(connection: Connection, client: Client, serving: Serving): void {
  const { directory, reach, log, boundsOf, beginVisit, notices } = serving;
  let guest: Guest | undefined;
  let attempts = 0;
  connection.on("error", () => undefined);
  connection.on("authentication", (context) => {
    attempts += 1;
    if (attempts > mostAttempts) return client.end();
    const show = (text: string) => sendBanner(connection, text);
    const onGuest = (loggedIn: Guest) => {
      guest = loggedIn;
    };
    logIn(context, directory, { onGuest, show }).catch((error: unknown) => {
      log.warn("ssh login not checked", { error: error instanceof Error ? error.message : String(error) });
      show("Berth cannot check keys now: try again in a moment\r\n");
      context.reject(["publickey"]);
    });
  });
  connection.on("ready", () => {
    if (!guest) return client.end();
    const { run, login } = guest;
    boundInput(connection, client.held, (reason) => {
      log.warn("ssh cut", { run, reason });
      client.held?.socket.destroy();
    });
    if (guest.ended) {
      connection.once("close", beginVisit({ destroy: client.end }));
      return serveEnded(connection, guest.ended, client.end);
    }
    client.guest = guest;
    boundPackets(connection, LONGEST_PACKET_BYTES);
    try {
      const bounds = boundsOf(run);
      if (client.held) bounds.boundBytes(client.held);
      serveChannels(connection, reach, run, { login, bounds, from: client.from, notices, held: client.held });
      log.info("ssh login", { run });
    } catch (error) {
      log.warn("ssh refused", { run, error: error instanceof Error ? error.message : String(error) });
      client.end();
    }
  });
}

function cutOff(connection: Connection, socket: Socket | undefined): void {
  connection.end();
  setTimeout(() => socket?.destroy(), lastWordsMs).unref();
}
