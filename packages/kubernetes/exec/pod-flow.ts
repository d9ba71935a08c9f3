import { Readable } from "node:stream";
import type { WebSocket } from "ws";

/** Streams that read from one socket. The socket pauses while one of them is full, so buffers stay small. */
export interface PodFlow {
  stream(): FlowStream;
  end(): void;
}

export interface FlowStream {
  readonly readable: Readable;
  push(bytes: Buffer): void;
}

export function podFlow(socket: Pick<WebSocket, "pause" | "resume">): PodFlow {
  const full = new Set<Readable>();
  const readables: Readable[] = [];
  const takeOn = (readable: Readable) => {
    if (full.delete(readable) && full.size === 0) socket.resume();
  };
  return {
    stream() {
      const readable: Readable = new Readable({
        read: () => takeOn(readable),
        destroy: (error, done) => {
          takeOn(readable);
          done(error);
        },
      });
      readables.push(readable);
      const push = (bytes: Buffer) => {
        if (readable.destroyed || readable.push(bytes)) return;
        full.add(readable);
        socket.pause();
      };
      return { readable, push };
    },
    end() {
      for (const readable of readables) if (!readable.destroyed) readable.push(null);
    },
  };
}

const pingMs = 30_000;

/** Sends pings, because proxies close a connection after minutes of silence. */
export function keepOpen(socket: WebSocket): void {
  const timer = setInterval(() => socket.readyState === socket.OPEN && socket.ping(), pingMs).unref();
  socket.once("close", () => clearInterval(timer));
}
