import type { Connection } from "ssh2";

/**
 * Answers messages that ssh2 never answers, so that clients do not wait forever: requests on a session with a running
 * program (RFC 4254, 5.4), and the close of a session without one (5.3).
 * It fixes an ssh2 bug: if both outputs of a program wait for the client's window, it sends a part twice or never.
 */
export function answerRequests(connection: Connection): void {
  const { _protocol: protocol, _chanMgr: channels } = connection as unknown as Internals;
  const { CHANNEL_REQUEST: onRequest, CHANNEL_CLOSE: onClose, CHANNEL_WINDOW_ADJUST: onRoom } = protocol._handlers;
  const findSession = (id: number): Session | undefined => {
    const found = channels.get(id);
    return isSession(found) ? found : undefined;
  };
  protocol._handlers.CHANNEL_REQUEST = (_, recipient, type, wantsReply, data) => {
    const session = findSession(recipient);
    const channel = session?._channel;
    if (type === "eow@openssh.com") channel?.emit("eow");
    onRequest(protocol, recipient, type, wantsReply && !channel, data);
    if (!session || !channel || !wantsReply) return;
    if (served.has(type)) protocol.channelSuccess(session._chanInfo.outgoing.id);
    else protocol.channelFailure(session._chanInfo.outgoing.id);
  };
  protocol._handlers.CHANNEL_CLOSE = (_, recipient) => {
    const session = findSession(recipient);
    onClose(protocol, recipient);
    if (!session || session._channel) return;
    protocol.channelClose(session._chanInfo.outgoing.id);
    channels.remove(recipient);
  };
  protocol._handlers.CHANNEL_WINDOW_ADJUST = (_, recipient, bytes) => {
    const channel = findSession(recipient)?._channel ?? channels.get(recipient);
    const goOn = isChannel(channel) ? takeWaiting(channel) : undefined;
    onRoom(protocol, recipient, bytes);
    goOn?.();
  };
}

function isSession(found: object | undefined): found is Session {
  return found !== undefined && "_chanInfo" in found;
}

function isChannel(found: object | undefined): found is Channel {
  return found !== undefined && "_waitWindow" in found;
}

/**
 * Takes the waiting parts from ssh2, and returns a function that writes them again. A part may then wait once more.
 */
function takeWaiting(channel: Channel): () => void {
  const { _chunk: out, _chunkcb: outDone, _chunkErr: error, _chunkcbErr: errorDone } = channel;
  Object.assign(channel, { _waitWindow: false, _chunk: null, _chunkcb: null, _chunkErr: null, _chunkcbErr: null });
  return () => {
    if (error && errorDone) channel.stderr?._write(error, "buffer", errorDone);
    if (out && outDone) channel._write(out, "buffer", outDone);
  };
}

const served: ReadonlySet<string> = new Set(["window-change", "signal"]);

type Write = (part: Buffer, encoding: "buffer", done: () => void) => void;

interface Channel {
  readonly _write: Write;
  readonly stderr?: { readonly _write: Write };
  readonly _chunk?: Buffer;
  readonly _chunkcb?: () => void;
  readonly _chunkErr?: Buffer;
  readonly _chunkcbErr?: () => void;
  emit(event: string): void;
}

/** A session has a channel once its program has started. A forwarded connection is a channel from the start. */
interface Session {
  readonly _chanInfo: { readonly outgoing: { readonly id: number } };
  readonly _channel?: Channel;
}

interface Protocol {
  readonly _handlers: {
    CHANNEL_REQUEST(protocol: Protocol, recipient: number, type: string, wantsReply: boolean, data: unknown): void;
    CHANNEL_CLOSE(protocol: Protocol, recipient: number): void;
    CHANNEL_WINDOW_ADJUST(protocol: Protocol, recipient: number, bytes: number): void;
  };
  channelSuccess(id: number): void;
  channelFailure(id: number): void;
  channelClose(id: number): void;
}

interface Internals {
  readonly _protocol: Protocol;
  readonly _chanMgr: { get(id: number): Session | Channel | object | undefined; remove(id: number): void };
}
