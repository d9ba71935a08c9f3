import { EventEmitter, once } from "node:events";
import type { Client } from "ssh2";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { text, u32 } from "#process/sftp/packets.ts";

/** Message of the server: its name in RFC 4254 without SSH_MSG_, and what ssh2 has parsed of it. */
export interface Message {
  readonly name: (typeof recorded)[number];
  readonly fields: readonly unknown[];
}

/** A connection that sends and records single messages of RFC 4254. Client libraries do not offer this. */
export interface RawSsh {
  readonly messages: readonly Message[];
  /** Sends a message by its number (RFC 4254, 9). */
  send(number: number, ...parts: readonly Buffer[]): void;
  /** Resolves with the first result of `find` that is not undefined, now or after a later message. */
  until<Found>(find: (messages: readonly Message[]) => Found | undefined): Promise<Found>;
  /** Sends a global request that wants a reply. */
  request(type: string, ...parts: readonly Buffer[]): Promise<{ answer: Answer; data: Buffer | undefined }>;
  /** Opens a channel. Resolves with its number at the server, or with undefined if the server refuses. */
  open(type: string, ...parts: readonly Buffer[]): Promise<RawChannel | undefined>;
}

export type Answer = "success" | "failure";

export interface RawChannel {
  /** Number of the channel at this end, which messages of the server name. */
  readonly own: number;
  send(number: number, ...parts: readonly Buffer[]): void;
  /** Sends a request that wants a reply. */
  request(type: string, ...parts: readonly Buffer[]): Promise<Answer>;
  /** Sends a request that wants none. */
  notify(type: string, ...parts: readonly Buffer[]): void;
  countReplies(): number;
  /** Output until now. */
  output(): Buffer;
  /** Resolves with the exit code and the signal name that the server sent. */
  ended(): Promise<{ code: unknown; signal: unknown }>;
}

export const numbers = { globalRequest: 80, open: 90, confirm: 91, refuse: 92, data: 94, request: 98 } as const;
export const bool = (value: boolean) => Buffer.from([value ? 1 : 0]);
const WINDOW_BYTES = 2 * 1024 * 1024;
const PACKET_BYTES = 32 * 1024;
/** Window and packet size of each channel. */
export const sizes = [u32(WINDOW_BYTES), u32(PACKET_BYTES)];

const recorded = [
  ...["GLOBAL_REQUEST", "REQUEST_SUCCESS", "REQUEST_FAILURE"],
  ...["CHANNEL_OPEN", "CHANNEL_OPEN_CONFIRMATION", "CHANNEL_OPEN_FAILURE", "CHANNEL_WINDOW_ADJUST"],
  ...["CHANNEL_DATA", "CHANNEL_EXTENDED_DATA", "CHANNEL_EOF", "CHANNEL_CLOSE", "CHANNEL_REQUEST"],
  ...["CHANNEL_SUCCESS", "CHANNEL_FAILURE"],
] as const;

/** Takes over the connection of a client that has logged in. */
export function takeOver(client: Client): RawSsh {
  const { _protocol: protocol } = client as unknown as Internals;
  const messages: Message[] = [];
  const arrivals = new EventEmitter().setMaxListeners(0);
  for (const name of recorded) {
    protocol._handlers[name] = (_, ...fields) => {
      messages.push({ name, fields });
      arrivals.emit("message");
    };
  }
  const send = (number: number, ...parts: readonly Buffer[]) => {
    const payload = Buffer.concat([Buffer.from([number]), ...parts]);
    const { write } = protocol._packetRW;
    const packet = write.alloc(payload.length);
    packet.set(payload, write.allocStart);
    protocol._cipher.encrypt(write.finalize(packet));
  };
  const until: RawSsh["until"] = async (find) => {
    for (;;) {
      const found = find(messages);
      if (found !== undefined) return found;
      await once(arrivals, "message", { signal: AbortSignal.timeout(PATIENCE_MS) });
    }
  };
  let opened = 0;
  const connection: RawSsh = {
    messages,
    send,
    until,
    async request(type, ...parts) {
      const before = messages.length;
      send(numbers.globalRequest, text(type), bool(true), ...parts);
      const isReply = ({ name }: Message) => name === "REQUEST_SUCCESS" || name === "REQUEST_FAILURE";
      const { name, fields } = await until((all) => all.slice(before).find(isReply));
      return { answer: name === "REQUEST_SUCCESS" ? "success" : "failure", data: fields[0] as Buffer | undefined };
    },
    async open(type, ...parts) {
      opened += 1;
      const own = opened;
      send(numbers.open, text(type), u32(own), ...sizes, ...parts);
      const answer = await until((all) => all.find((message) => isAnswerToOpen(message, own)));
      if (answer.name === "CHANNEL_OPEN_FAILURE") return undefined;
      return rawChannel(connection, own, (answer.fields[0] as { sender: number }).sender);
    },
  };
  return connection;
}

function isAnswerToOpen({ name, fields: [first] }: Message, own: number): boolean {
  if (name === "CHANNEL_OPEN_FAILURE") return first === own;
  return name === "CHANNEL_OPEN_CONFIRMATION" && (first as { recipient: number }).recipient === own;
}

/** Handles a channel whose numbers both sides know. */
export function rawChannel({ messages, send, until }: RawSsh, own: number, server: number): RawChannel {
  const ofChannel = (all: readonly Message[]) => all.filter(({ fields: [recipient] }) => recipient === own);
  const isReply = ({ name }: Message) => name === "CHANNEL_SUCCESS" || name === "CHANNEL_FAILURE";
  const findRequest = (all: readonly Message[], type: string) => {
    return ofChannel(all).find(({ name, fields }) => name === "CHANNEL_REQUEST" && fields[1] === type);
  };
  return {
    own,
    send: (number, ...parts) => send(number, u32(server), ...parts),
    async request(type, ...parts) {
      const before = messages.length;
      send(numbers.request, u32(server), text(type), bool(true), ...parts);
      const { name } = await until((all) => ofChannel(all.slice(before)).find(isReply));
      return name === "CHANNEL_SUCCESS" ? "success" : "failure";
    },
    notify: (type, ...parts) => send(numbers.request, u32(server), text(type), bool(false), ...parts),
    countReplies: () => ofChannel(messages).filter(isReply).length,
    output: () =>
      Buffer.concat(
        ofChannel(messages).flatMap(({ name, fields }) => (name === "CHANNEL_DATA" ? (fields[1] as Buffer) : [])),
      ),
    async ended() {
      await until((all) => ofChannel(all).find(({ name }) => name === "CHANNEL_CLOSE"));
      const signal = findRequest(messages, "exit-signal")?.fields[3] as { signal: string } | undefined;
      return { code: findRequest(messages, "exit-status")?.fields[3], signal: signal?.signal };
    },
  };
}

/** ssh2 parses and encrypts single messages, but its types do not show how. */
interface Internals {
  readonly _protocol: {
    readonly _handlers: Record<string, (protocol: unknown, ...fields: readonly unknown[]) => void>;
    readonly _packetRW: {
      readonly write: { readonly allocStart: number; alloc(bytes: number): Buffer; finalize(packet: Buffer): Buffer };
    };
    readonly _cipher: { encrypt(packet: Buffer): void };
  };
}
