import type { Duplex } from "node:stream";
import type { AcceptConnection, Connection, ServerChannel } from "ssh2";
import type { Relay, RelayPlace } from "#relay/relay.ts";
import type { Reach } from "../../ports/reach.ts";

/** Relays between a run and one client, which end with the client's connection. */
export interface ClientRelays {
  /** Starts or cancels a remote forward, as `ssh -R` requests it (RFC 4254, 7.1). */
  answer(request: ForwardRequest): Promise<void>;
  /** Resolves when all requested forwards are answered. Later sessions then find them, as with OpenSSH's server. */
  answered(): Promise<unknown>;
  agent(): Promise<string | undefined>;
  /** Calls `reject` with a reason for the user, also at the end of an accepted connection, where it does nothing. */
  dial(path: string, accept: AcceptConnection<ServerChannel>, reject: (reason: string) => void): Promise<void>;
  heldBytes(): number;
  close(): void;
}

interface ForwardRequest {
  readonly accept: ((port?: number) => void) | undefined;
  readonly reject: (() => void) | undefined;
  readonly name: string;
  readonly info: { readonly bindAddr?: string; readonly bindPort?: number; readonly socketPath?: string };
}

type Forward =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Per client, including sockets and the agent. Each relay is a process of the run. */
const MOST_RELAYS = 16;

/** Limit of channels that the client has not yet accepted. */
const MOST_ASKED = 128;

/** Names of the loopback. Wildcard addresses mean only the loopback too, as with `GatewayPorts no`. */
const loopback: ReadonlySet<string> = new Set(["", "*", "0.0.0.0", "::", "localhost", "127.0.0.1"]);

interface RelayClient {
  readonly connection: Connection;
  readonly open: (place: RelayPlace, onVisitor: (visitor: Duplex) => void) => Promise<Relay>;
  readonly forwards: Map<string, Relay>;
  /** Channels that the client was asked to open and has not answered yet. */
  waiting: number;
}

export function clientRelays(connection: Connection, reach: Reach, run: string): ClientRelays {
  const { open, heldBytes, close } = countedRelays(reach, run);
  const client: RelayClient = { connection, open, forwards: new Map(), waiting: 0 };
  const pendingRequests = new Set<Promise<void>>();
  let agent: Promise<string | undefined> | undefined;
  return {
    async answer(request) {
      const answering = answerForward(client, request);
      pendingRequests.add(answering);
      await answering;
      pendingRequests.delete(answering);
    },
    answered: () => Promise.all(pendingRequests),
    agent: () => {
      agent ??= listenForAgent(client, () => {
        agent = undefined;
      });
      return agent;
    },
    async dial(path, accept, reject) {
      try {
        const relay = await open(["dial", path], (stream) => {
          joinChannel(stream, accept());
          stream.once("close", () => relay.close());
        });
        await relay.ended;
        await relay.address;
        reject("");
      } catch (error) {
        reject(error instanceof Error ? error.message : "");
      }
    },
    heldBytes,
    close,
  };
}

async function answerForward(client: RelayClient, { accept, reject, name, info }: ForwardRequest): Promise<void> {
  try {
    if (name.startsWith("cancel-")) cancel(client, forwardIn(info));
    accept?.(name.startsWith("cancel-") ? undefined : await listen(client, forwardIn(info)));
  } catch {
    reject?.();
  }
}

/** Opens a forward and returns its port, or 0 for a path. */
async function listen(client: RelayClient, forward: Forward): Promise<number> {
  const { connection, open, forwards } = client;
  let bound = forward.kind === "tcp" ? forward.port : 0;
  const relay = await open(getPlace(forward), (visitor) => {
    lead(client, visitor, (then) => {
      if (forward.kind === "unix") connection.openssh_forwardOutStreamLocal(forward.path, then);
      else connection.forwardOut(forward.host, bound, "127.0.0.1", 0, then);
    });
  });
  const address = await relay.address;
  if (forward.kind === "tcp") bound = Number(address);
  const name = formatName(forward.kind === "tcp" ? { ...forward, port: bound } : forward);
  forwards.set(name, relay);
  void relay.ended.then(() => forwards.get(name) === relay && forwards.delete(name));
  return bound;
}

function cancel({ forwards }: RelayClient, forward: Forward): void {
  const relay = forwards.get(formatName(forward));
  if (!relay) throw new Error("Nothing was forwarded there");
  relay.close();
  forwards.delete(formatName(forward));
}

async function listenForAgent(client: RelayClient, onEnd: () => void): Promise<string | undefined> {
  try {
    const relay = await client.open(["agent"], (visitor) => {
      lead(client, visitor, (then) => openAgent(client.connection, then));
    });
    void relay.ended.then(onEnd);
    return await relay.address;
  } catch {
    return undefined;
  }
}

/** Asks the client to open a channel for this visitor. */
function lead(client: RelayClient, visitor: Duplex, ask: (then: OpenedChannel) => void): void {
  if (client.waiting >= MOST_ASKED) return void visitor.destroy();
  client.waiting += 1;
  ask((error, channel) => {
    client.waiting -= 1;
    if (error) visitor.destroy();
    // The visitor left before the client answered.
    else if (visitor.destroyed) channel.end();
    else joinChannel(visitor, channel);
  });
}

/** Joins both directions, which end independently. */
export function joinChannel(stream: Duplex, channel: ServerChannel): void {
  channel.on("error", () => stream.destroy()).once("close", () => stream.destroy());
  stream.on("error", () => channel.end()).once("close", () => channel.end());
  stream.pipe(channel).pipe(stream);
}

function countedRelays(reach: Reach, run: string) {
  const relays = new Set<Relay>();
  let begun = 0;
  let isClosed = false;
  const begin = async (place: RelayPlace, onVisitor: (visitor: Duplex) => void): Promise<Relay> => {
    const relay = await reach.openRelay(run, place, onVisitor);
    relays.add(relay);
    if (isClosed) relay.close();
    void relay.ended.then(() => {
      begun -= 1;
      relays.delete(relay);
    });
    return relay;
  };
  return {
    open: (place: RelayPlace, onVisitor: (visitor: Duplex) => void): Promise<Relay> => {
      if (begun >= MOST_RELAYS) return Promise.reject(new Error("Too many forwards"));
      begun += 1;
      return begin(place, onVisitor).catch((error: unknown) => {
        begun -= 1;
        throw error;
      });
    },
    heldBytes: () => [...relays].reduce((sum, relay) => sum + relay.heldBytes(), 0),
    close: () => {
      isClosed = true;
      for (const relay of relays) relay.close();
    },
  };
}

function forwardIn({ bindAddr: host = "", bindPort: port = 0, socketPath: path }: ForwardRequest["info"]): Forward {
  return path === undefined ? { kind: "tcp", host, port } : { kind: "unix", path };
}

function getPlace(forward: Forward): RelayPlace {
  if (forward.kind === "unix") return ["unix", forward.path];
  if (!loopback.has(forward.host)) throw new Error("Not an address of the environment");
  return ["tcp", String(forward.port)];
}

function formatName(forward: Forward): string {
  return forward.kind === "unix" ? `unix ${forward.path}` : `tcp ${forward.host} ${forward.port}`;
}

type OpenedChannel = (error: Error | undefined, channel: ServerChannel) => void;

/** ssh2 can open a channel to the client's agent, but its server has no method for it. */
interface Internals {
  readonly _chanMgr: { add(then: OpenedChannel & { type: string }): number };
  readonly _protocol: { openssh_authAgent(channel: number, initWindow: number, maxPacket: number): void };
}

/** The values of all ssh2 channels. */
const WINDOW_BYTES = 2 * 1024 * 1024;
const PACKET_BYTES = 32 * 1024;

/**
 * Opens a channel to the client's agent, if the client requested forwarding (section 4.1 of draft-miller-ssh-agent).
 */
function openAgent(connection: Connection, then: OpenedChannel): void {
  const { _chanMgr: channels, _protocol: protocol } = connection as unknown as Internals;
  const opened: OpenedChannel = (error, channel) => then(error, channel);
  const number = channels.add(Object.assign(opened, { type: "auth-agent@openssh.com" }));
  if (number === -1) throw new Error("Too many channels");
  protocol.openssh_authAgent(number, WINDOW_BYTES, PACKET_BYTES);
}
