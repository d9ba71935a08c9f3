import type { Duplex } from "node:stream";
import type { WhenDrained } from "#relay/windows.ts";

interface FrameSender {
  readonly send: (bytes: Buffer) => void;
  /** Input waits at its client until then, where the bounds of SSH count it (../ssh/ssh-output.ts). */
  readonly whenDrained: WhenDrained;
}

/** More waiting bytes hold back input of all streams. */
const BLOCKED_BYTES = 256 * 1024;
/** Requests and acknowledgements do not wait, so a connection with more waiting bytes is destroyed. */
const MOST_WAITING_BYTES = 16 * 1024 * 1024;

/** Sends all frames of one turn of the event loop as one buffer, because each waiting buffer takes memory and time. */
export function frameSender(socket: Duplex): FrameSender {
  let frames: Buffer[] = [];
  let frameBytes = 0;
  const blocked: (() => void)[] = [];
  const countWaiting = () => socket.writableLength + frameBytes;
  const release = () => {
    while (blocked.length > 0 && countWaiting() <= BLOCKED_BYTES) blocked.shift()?.();
  };
  const flush = () => {
    const bytes = Buffer.concat(frames, frameBytes);
    frames = [];
    frameBytes = 0;
    if (socket.writable) socket.write(bytes, release);
  };
  socket.once("close", () => {
    for (const callback of blocked.splice(0)) callback();
  });
  return {
    send: (bytes) => {
      if (!socket.writable) return;
      if (countWaiting() > MOST_WAITING_BYTES) return void socket.destroy();
      if (frames.length === 0) setImmediate(flush);
      frames.push(bytes);
      frameBytes += bytes.length;
    },
    whenDrained: (callback) => {
      if (socket.destroyed || countWaiting() <= BLOCKED_BYTES) callback();
      else blocked.push(callback);
    },
  };
}
