import { writeSync } from "node:fs";
import { Writable } from "node:stream";
import type { ReadStream } from "node:tty";
import type { IPty } from "@lydell/node-pty";

/** How long what nobody reads waits until it is offered again, ms. */
const OFFERED_AGAIN_MS = 5;
const MOST_HELD_BYTES = 64 * 1024;

/** What node-pty has and its types leave out; its version is exact in package.json. */
interface Master {
  readonly fd: number;
  /** Destroyed in the same moment in which the descriptor is closed, whose number may be another file's after that. */
  readonly _socket: ReadStream;
}

/**
 * What is typed into a terminal, byte by byte as it comes. node-pty's own `write` goes to a stream whose writes block:
 * where nobody reads in the terminal, libuv offers the rest again without end, and the whole process does nothing else.
 * The descriptor itself does not block: what it does not take waits here, and who types waits with it.
 */
export function terminalInput(pty: IPty): Writable {
  const { fd, _socket: socket } = pty as unknown as Master;
  let waiting: NodeJS.Timeout | undefined;
  return new Writable({
    highWaterMark: MOST_HELD_BYTES,
    write(typed: Buffer, _encoding, done) {
      let rest = typed;
      const offer = () => {
        if (socket.destroyed) return done();
        const taken = writeSome(fd, rest);
        if (taken === "gone" || taken === rest.length) return done();
        rest = rest.subarray(taken);
        waiting = setTimeout(offer, taken > 0 ? 0 : OFFERED_AGAIN_MS);
      };
      offer();
    },
    destroy(error, done) {
      clearTimeout(waiting);
      done(error);
    },
  });
}

/** How much was taken; `gone`: the terminal has hung up. */
function writeSome(fd: number, bytes: Buffer): number | "gone" {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EAGAIN" ? 0 : "gone";
  }
}
