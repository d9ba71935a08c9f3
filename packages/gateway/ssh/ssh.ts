import { createServer, type Server, type Socket } from "node:net";
import type { Algorithms, Connection } from "ssh2";
import type { Log } from "#core/ports/log.ts";
import { watch } from "../directory/watch.ts";
import type { SshDirectory } from "../ports/directory.ts";
import type { GatewayPorts } from "../ports/reach.ts";
import { serveChannels } from "./channels/ssh-channels.ts";
import type { ClientAddress } from "./channels/ssh-session.ts";
import { derivePublicKey } from "./login/ssh-keys.ts";
import { type Guest, logIn } from "./login/ssh-login.ts";
import { MOST_STARTUPS, type SshBounds, sshBounds, sshStartups } from "./ssh-bounds.ts";
import { boundPackets, Ssh2Server, sendBanner } from "./ssh-library.ts";
import { type SshNotices, serveEnded, sshNotices } from "./ssh-notices.ts";
import { boundOutput, boundTogether, MOST_UNSENT_BYTES } from "./ssh-output.ts";

export interface SshOptions extends GatewayPorts {
  /** Private key in the form of OpenSSH. */
  readonly hostKey: string;
  /** Makes the server listen, and returns its port. */
  readonly listen: (server: Server) => Promise<number>;
  readonly log: Log;
  readonly loginWithinMs?: number;
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
  const { directory, hostKey, listen, log, loginWithinMs = LOGIN_WITHIN_MS, isAllowed = () => true } = options;
  const sockets = new Map<string, Socket>();
  const connections = new Map<Connection, Client>();
  const boundsOf = sshBounds();
  const boundAll = boundTogether(MOST_UNSENT_BYTES);
  const notices = sshNotices(directory, Date.now);
  const beginStartup = sshStartups(loginWithinMs);
  const begun = new Map<string, () => void>();
  const server = new Ssh2Server({ hostKeys: [hostKey], algorithms, ident }, (connection, { ip, port }) => {
    const place = `${ip} ${port}`;
    const socket = sockets.get(place);
    const from = { ip, port, serverPort: socket?.localPort ?? 0 };
    const client: Client = { guest: undefined, from, socket, end: () => cutOff(connection, socket) };
    connections.set(connection, client);
    connection.once("close", () => connections.delete(connection));
    connection.once("ready", () => begun.get(place)?.());
    serve(connection, client, { ...options, boundsOf, notices });
  });
  server.on("error", (error: Error) => log.warn("ssh failed", { error: error.message }));
  server.maxConnections = mostConnections;
  const listener = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }, (socket) => {
    if (!isAllowed(socket.remoteAddress ?? "")) return void socket.destroy();
    const place = `${socket.remoteAddress} ${socket.remotePort}`;
    sockets.set(place, socket);
    const endStartup = beginStartup(socket);
    begun.set(place, endStartup);
    socket.once("close", () => {
      sockets.delete(place);
      begun.delete(place);
      endStartup();
    });
    boundOutput(socket);
    boundAll(socket);
    server.injectSocket(socket);
  });
  const port = await listen(listener);
  const drain = () => new Promise<void>((resolve) => listener.close(() => resolve()));
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
      stopWatching();
      const drained = drain();
      for (const connection of connections.keys()) connection.end();
      // Do not wait for clients that keep their end open.
      setTimeout(() => {
        for (const socket of sockets.values()) socket.destroy();
      }, lastWordsMs).unref();
      return drained;
    },
  };
}

interface Client {
  guest: Guest | undefined;
  readonly from: ClientAddress;
  readonly socket: Socket | undefined;
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
const mostAttempts = 20;

interface Serving extends GatewayPorts {
  readonly log: Log;
  readonly boundsOf: (run: string) => SshBounds;
  readonly notices: SshNotices;
}

function serve(connection: Connection, client: Client, serving: Serving): void {
  const { directory, reach, log, boundsOf, notices } = serving;
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
    if (guest.ended) return serveEnded(connection, guest.ended, client.end);
    client.guest = guest;
    boundPackets(connection, LONGEST_PACKET_BYTES);
    const { run, login } = guest;
    try {
      const bounds = boundsOf(run);
      if (client.socket) bounds.boundOutput(client.socket);
      serveChannels(connection, reach, run, { login, bounds, from: client.from, notices });
      log.info("ssh login", { run });
    } catch (error) {
      log.warn("ssh refused", { run, error: error instanceof Error ? error.message : String(error) });
      client.end();
    }
  });
}

/**
 * Ends connections whose run has ended or whose key was removed, after their terminals have shown the reason. Checks each
 * pair of run and key once.
 */
async function endStrangers(
  clients: Iterable<Client>,
  directory: SshDirectory,
  notices: Pick<SshNotices, "sayGoodbye">,
): Promise<void> {
  const groups = new Map<string, { readonly guest: Guest; readonly ends: (() => void)[] }>();
  for (const { guest, end } of clients) {
    if (!guest) continue;
    const name = `${guest.run} ${guest.key}`;
    const group = groups.get(name) ?? { guest, ends: [] };
    group.ends.push(end);
    groups.set(name, group);
  }
  const checks = [...groups.values()].map(async ({ guest, ends }) => {
    if (await directory.admits(guest, guest.key)) return;
    await notices.sayGoodbye(guest.run, false);
    for (const end of ends) end();
  });
  await Promise.all(checks);
}

function cutOff(connection: Connection, socket: Socket | undefined): void {
  connection.end();
  setTimeout(() => socket?.destroy(), lastWordsMs).unref();
}
