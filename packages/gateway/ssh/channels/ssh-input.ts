import type { Connection } from "ssh2";
import type { HeldBytes } from "../ssh-output.ts";

/**
 * Calls `cut` when a client sends more than the window of its channel, or sends data after its end of file (RFC 4254,
 * 5.2 and 5.3). ssh2 buffers the first, and the second is an error of a stream that may have no listener. Counts the
 * input that no program has read in `held`.
 */
export function boundInput(connection: Connection, held: HeldBytes | undefined, cut: (reason: string) => void): void {
  const { _protocol: protocol, _chanMgr: channels } = connection as unknown as Internals;
  const { CHANNEL_DATA: onData } = protocol._handlers;
  const countInput = () =>
    Object.values(channels._channels).reduce((sum, found) => sum + (findChannel(found)?.readableLength ?? 0), 0);
  if (held) held.countInput = countInput;
  const cutOnce = (reason: string) => {
    // The packets that have arrived are still parsed.
    protocol._handlers.CHANNEL_DATA = () => undefined;
    cut(reason);
  };
  protocol._handlers.CHANNEL_DATA = (_, recipient, data) => {
    const incoming = findChannel(channels.get(recipient))?.incoming;
    if (incoming && incoming.state !== "open") return cutOnce("data after the end of its input");
    if (incoming && data.length > incoming.window) return cutOnce("more data than the window of its channel");
    onData(protocol, recipient, data);
    held?.grow();
  };
}

/**
 * A session has a channel once its program has started. A forwarded connection is a channel from the start. Until a channel
 * is open, ssh2 keeps its place with `true` or a function, and the client may already name it.
 */
function findChannel(found: Place): Channel | undefined {
  if (typeof found !== "object") return undefined;
  return "incoming" in found ? found : found._channel;
}

type Place = Channel | Session | true | (() => void) | undefined;

interface Channel {
  readonly readableLength: number;
  readonly incoming: { readonly window: number; readonly state: string };
}

interface Session {
  readonly _channel?: Channel;
}

interface Protocol {
  readonly _handlers: { CHANNEL_DATA(protocol: Protocol, recipient: number, data: Buffer): void };
}

interface Internals {
  readonly _protocol: Protocol;
  readonly _chanMgr: {
    readonly _channels: Readonly<Record<number, Place>>;
    get(id: number): Place;
  };
}
