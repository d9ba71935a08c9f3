import { Readable, Writable } from "node:stream";
import type { PodSession } from "#kubernetes/exec/pod-session.ts";
import { type Frame, frame as formatFrame } from "#relay/frames.ts";
import { receiver, sender } from "#relay/windows.ts";
import { formatMessage, newCutOffError, parseAnswer, type StreamHooks, type TunnelStream } from "./tunnel-stream.ts";

/** Returns the gateway's side of a program. Its session rejects once the tunnel ends. */
export function programStream(id: number, { send, leave }: StreamHooks): TunnelStream<PodSession> {
  const opened = Promise.withResolvers<PodSession>();
  const exited = Promise.withResolvers<number>();
  // A caller that closes the session does not wait for its end.
  exited.promise.catch(() => undefined);
  const { input, sending, output, errors } = openStreams(id, send);
  const readables = [output.readable, errors.readable];
  let hasExited = false;
  let hasLeft = false;
  const finish = () => {
    hasLeft = true;
    opened.reject(newCutOffError());
    leave();
    input.destroy();
  };
  const cutOff = () => {
    exited.reject(newCutOffError());
    for (const readable of readables) if (!readable.destroyed) readable.push(null);
    finish();
  };
  const close = async () => {
    if (hasLeft) return;
    // The other side hangs up the program.
    send(formatFrame("close", id));
    cutOff();
    for (const readable of readables) readable.destroy();
  };
  const sendMessage = (content: object) => {
    if (!hasLeft) send(formatMessage(id, content));
  };
  const session: PodSession = {
    input,
    output: output.readable,
    errors: errors.readable,
    resize: (columns, rows) => sendMessage({ resize: { columns, rows } }),
    ended: exited.promise,
    signal: async (signal) => sendMessage({ signal }),
    close,
  };
  const takeAnswer = (frame: Frame) => {
    const { isOpen, exitCode } = parseAnswer(frame);
    if (isOpen) return opened.resolve(session);
    if (hasExited || exitCode === undefined) throw new Error("A program ends once");
    hasExited = true;
    exited.resolve(exitCode);
  };
  const takeFrame = (frame: Frame) => {
    const { kind, content } = frame;
    if (kind === "data") output.take(content);
    if (kind === "end") output.take(null);
    if (kind === "errors") errors.take(content.length > 0 ? content : null);
    if (kind === "more") sending.allow(content.readUInt32BE(0));
    if (kind === "message") takeAnswer(frame);
    if (kind === "close") return cutOff();
    if (hasExited && output.hasEnded() && errors.hasEnded()) finish();
  };
  return { opened: opened.promise, takeFrame, cutOff };
}

function openStreams(id: number, send: (bytes: Buffer) => void) {
  const sending = sender(id, send);
  const input = new Writable({
    write: (bytes: Buffer, _, done) => sending.write(bytes, done),
    final: (done) => done(void sending.end()),
  }).on("error", () => undefined);
  return { input, sending, output: openReadable(id, send), errors: openReadable(id, send) };
}

function openReadable(id: number, send: (bytes: Buffer) => void) {
  const receiving = receiver(id, send, (part) => readable.push(part));
  const readable = new Readable({ read: receiving.read });
  return { readable, take: receiving.take, hasEnded: receiving.hasEnded };
}
