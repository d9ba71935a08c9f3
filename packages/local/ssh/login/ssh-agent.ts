import type { Connection, ServerChannel } from "ssh2";

export type OpenedChannel = (error: Error | undefined, channel: ServerChannel) => void;

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
export function openAgent(connection: Connection, then: OpenedChannel): void {
  const { _chanMgr: channels, _protocol: protocol } = connection as unknown as Internals;
  const opened: OpenedChannel = (error, channel) => then(error, channel);
  const number = channels.add(Object.assign(opened, { type: "auth-agent@openssh.com" }));
  if (number === -1) throw new Error("Too many channels");
  protocol.openssh_authAgent(number, WINDOW_BYTES, PACKET_BYTES);
}
