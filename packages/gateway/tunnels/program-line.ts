import { Readable, Writable } from "node:stream";
import type { PodSession } from "#kubernetes/exec/pod-session.ts";
import { type Frame, frame } from "#relay/frames.ts";
import { receiver, sender } from "#relay/windows.ts";
import { cutOff, type LineEnds, message, parseAnswer, type TunnelLine } from "./tunnel-line.ts";

/** A program at the other side of a tunnel. */
export function programLine(id: number, { send, leave }: LineEnds): TunnelLine<PodSession> {
  const begun = Promise.withResolvers<PodSession>();
  const exited = Promise.withResolvers<number>();
  // A caller that closes the session does not wait for its end.
  exited.promise.catch(() => undefined);
  const sending = sender(id, send);
  const [output, errors] = [readableLine(id, send), readableLine(id, send)];
  const input = new Writable({
    write: (bytes: Buffer, _, done) => sending.write(bytes, done),
    final: (done) => done(void sending.end()),
  }).on("error", () => undefined);
  let hasExited = false;
  let isLeft = false;
  const end = () => {
    isLeft = true;
    begun.reject(cutOff());
    leave();
    input.destroy();
  };
  const cut = () => {
    exited.reject(cutOff());
    for (const { readable } of [output, errors]) if (!readable.destroyed) readable.push(null);
    end();
  };
  const close = async () => {
    if (isLeft) return;
    // The other side hangs up the program.
    send(frame("close", id));
    cut();
    for (const { readable } of [output, errors]) readable.destroy();
  };
  const tell = (content: object) => {
    if (!isLeft) send(message(id, content));
  };
  const session: PodSession = {
    input,
    output: output.readable,
    errors: errors.readable,
    resize: (columns, rows) => tell({ resize: { columns, rows } }),
    ended: exited.promise,
    signal: async (signal) => tell({ signal }),
    close,
  };
  const hear = (next: Frame) => {
    const { isOpen, exitCode } = parseAnswer(next);
    if (isOpen) return begun.resolve(session);
    if (hasExited || exitCode === undefined) throw new Error("A program ends once");
    hasExited = true;
    exited.resolve(exitCode);
  };
  const take = (next: Frame) => {
    const { kind, content } = next;
    if (kind === "data") output.take(content);
    if (kind === "end") output.take(null);
    if (kind === "errors") errors.take(content.length > 0 ? content : null);
    if (kind === "more") sending.allow(content.readUInt32BE(0));
    if (kind === "message") hear(next);
    if (kind === "close") return cut();
    if (hasExited && output.hasEnded() && errors.hasEnded()) end();
  };
  return { opened: begun.promise, take, cut };
}

function readableLine(id: number, send: (bytes: Buffer) => void) {
  const receiving = receiver(id, send, (part) => readable.push(part));
  const readable = new Readable({ read: receiving.read });
  return { readable, take: receiving.take, hasEnded: receiving.hasEnded };
}
