import type { Duplex } from "node:stream";
import type { Connection, ServerChannel, TcpipRequestInfo } from "ssh2";
import type { Destination, Reach } from "../../ports/reach.ts";
import { CONNECT_FAILED, refuseChannel, type SessionSlots, type SshBounds } from "../ssh-bounds.ts";
import type { SshNotices } from "../ssh-notices.ts";
import type { HeldBytes } from "../ssh-output.ts";
import { clientRelays, joinChannel } from "./ssh-relay.ts";
import { answerRequests } from "./ssh-requests.ts";
import { type ClientAddress, letGo, serveSession } from "./ssh-session.ts";

interface ConnectionPlace {
  readonly login: string;
  readonly bounds: SshBounds;
  readonly from: ClientAddress;
  readonly notices: SshNotices;
  readonly held: HeldBytes | undefined;
}

export function serveChannels(
  connection: Connection,
  reach: Reach,
  run: string,
  { login, bounds, from, notices, held }: ConnectionPlace,
): void {
  answerRequests(connection);
  const relays = clientRelays(connection, reach, run);
  if (held) held.countRelays = relays.heldBytes;
  const channels = new Set<ServerChannel>();
  const taken = new Set<() => void>();
  const sessions = new Set<Promise<void>>();
  let isGone = false;
  const { promise: gone, resolve: leave } = Promise.withResolvers<void>();
  connection.once("close", () => {
    isGone = true;
    leave();
    relays.close();
    for (const channel of channels) letGo(channel);
    for (const giveBack of taken) giveBack();
    void Promise.all(sessions).then(bounds.close);
  });
  const keep = (channel: ServerChannel): ServerChannel => {
    channels.add(channel);
    return channel.once("close", () => channels.delete(channel));
  };
  connection.on("session", (accept, reject) => {
    const giveBack = takePlace(connection, bounds.sessions, reject);
    if (!giveBack) return;
    const over = serveSession(accept(), reach, run, { login, relays, from, notices, keep, gone }).finally(() => {
      sessions.delete(over);
      giveBack();
    });
    sessions.add(over);
  });
  const takeForward = (reject: () => void) => {
    const giveBackPlace = takePlace(connection, bounds.forwards, reject);
    if (!giveBackPlace) return undefined;
    const giveBack = () => {
      taken.delete(giveBack);
      giveBackPlace();
    };
    taken.add(giveBack);
    return giveBack;
  };
  connection.on("tcpip", (accept, reject, info) => {
    const giveBack = takeForward(reject);
    if (!giveBack) return;
    void dialPort(reach, run, info).then((socket) => {
      if (!socket) {
        giveBack();
        return reject();
      }
      socket.once("close", giveBack);
      if (isGone) socket.destroy();
      else joinChannel(socket, keep(accept()));
    });
  });
  connection.on("openssh.streamlocal", (accept, reject, { socketPath }) => {
    const giveBack = takeForward(reject);
    if (!giveBack) return;
    const over = (reason: string) => {
      giveBack();
      refuseChannel(connection, reject, reason, CONNECT_FAILED);
    };
    void relays.dial(socketPath, () => keep(accept()), over);
  });
  connection.on("request", (accept, reject, name, info) => void relays.answer({ accept, reject, name, info }));
}

/** Returns undefined and tells the client why if no place is left. */
function takePlace(connection: Connection, places: SessionSlots, reject: () => void): (() => void) | undefined {
  try {
    return places.take();
  } catch (error) {
    refuseChannel(connection, reject, error instanceof Error ? error.message : "");
    return undefined;
  }
}

const hosts = new Map<string, Destination["host"]>([
  ["localhost", "127.0.0.1"],
  ["127.0.0.1", "127.0.0.1"],
  ["::1", "::1"],
]);

async function dialPort(
  reach: Reach,
  run: string,
  { destIP, destPort }: TcpipRequestInfo,
): Promise<Duplex | undefined> {
  const host = hosts.get(destIP);
  return host && reach.dial(run, { host, port: destPort }).catch(() => undefined);
}
