import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

/** Streams by name, in both directions. */
export interface Streams {
  send(name: string, data: Buffer): void;
  end(): void;
}

/** Listener of a stream. `data` without bytes marks its end. */
export interface StreamListener {
  ready(streams: Streams): void;
  data(name: string, bytes: Buffer | undefined): void;
  gone(): void;
}

const type = { synStream: 1, synReply: 2, ping: 6, goAway: 7 } as const;
/** Zero header pairs in a stored block of deflate, and the empty block without which Go's reader waits forever. */
const noHeaders = Buffer.from([0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
const zlibBegins = Buffer.from([0x78, 0x01]);

/**
 * SPDY/3.1 as client-go uses it for exec: the API server opens the streams in the order of `names`, so no header has to
 * be inflated. There is no flow control.
 */
export function acceptSpdy(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  names: readonly string[],
  listener: StreamListener,
): void {
  const offered = String(request.headers["x-stream-protocol-version"] ?? "").split(/,\s*/);
  const version = ["v5.channel.k8s.io", "v4.channel.k8s.io"].find((knownName) => offered.includes(knownName)) ?? "";
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${version}\r\n\r\n`,
  );
  const ids: number[] = [];
  const write = (frame: Buffer) => void (socket.writable && socket.write(frame));
  const sendData = (id: number, flags: number, data: Buffer) => {
    const header = Buffer.alloc(8);
    header.writeUInt32BE(id, 0);
    header[4] = flags;
    header.writeUIntBE(data.length, 5, 3);
    write(Buffer.concat([header, data]));
  };
  const streams: Streams = {
    send(name, data) {
      const id = ids[names.indexOf(name)];
      if (id !== undefined) sendData(id, 0, data);
    },
    end() {
      for (const id of ids) sendData(id, 1, Buffer.alloc(0));
      // The API server reads to the end of all streams before it looks at the connection.
      setTimeout(() => socket.end(), 100);
    },
  };
  const opened = (payload: Buffer) => {
    ids.push(payload.readUInt32BE(0) & 0x7fffffff);
    write(
      controlFrame(type.synReply, [payload.subarray(0, 4), ids.length === 1 ? zlibBegins : Buffer.alloc(0), noHeaders]),
    );
    if (ids.length === names.length) listener.ready(streams);
  };
  const onFrame = (frame: Buffer) => {
    const payload = frame.subarray(8);
    if ((frame.readUInt8(0) & 0x80) === 0) {
      const name = names[ids.indexOf(frame.readUInt32BE(0))] ?? "";
      if (payload.length > 0) listener.data(name, payload);
      if ((frame.readUInt8(4) & 1) === 1) listener.data(name, undefined);
    } else if (frame[3] === type.synStream) opened(payload);
    else if (frame[3] === type.ping) write(controlFrame(type.ping, [payload]));
    else if (frame[3] === type.goAway) socket.end();
  };
  const read = frameReader(onFrame);
  socket.on("close", () => listener.gone());
  socket.on("data", read);
  read(head);
}

function controlFrame(kind: number, payload: readonly Buffer[]): Buffer {
  const header = Buffer.from([0x80, 3, 0, kind, 0, 0, 0, 0]);
  const body = Buffer.concat(payload);
  header.writeUIntBE(body.length, 5, 3);
  return Buffer.concat([header, body]);
}

/** Returns a function that splits bytes into frames. The last three of a frame's first eight bytes are its length. */
function frameReader(onFrame: (frame: Buffer) => void): (part: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (part) => {
    rest = Buffer.concat([rest, part]);
    while (rest.length >= 8) {
      const length = 8 + rest.readUIntBE(5, 3);
      if (rest.length < length) return;
      const frame = rest.subarray(0, length);
      rest = rest.subarray(length);
      onFrame(frame);
    }
  };
}
