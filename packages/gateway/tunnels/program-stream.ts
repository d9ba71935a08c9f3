import { Readable, Writable } from "node:stream";
import type { PodSession } from "#kubernetes/exec/pod-session.ts";
import { type Frame, frame as formatFrame } from "#relay/frames.ts";
import type { ReceiveWindow } from "#relay/receive-window.ts";
import { receiver, sender } from "#relay/windows.ts";
import { formatMessage, newCutOffError, parseAnswer, type StreamHooks, type TunnelStream } from "./tunnel-stream.ts";

/** Returns the gateway's side of a program. If the tunnel ends first, the session's `ended` rejects. */
export function programStream(id: number, hooks: StreamHooks): TunnelStream<PodSession> {
  const { send, leave, whenDrained, window } = hooks;
  const opened = Promise.withResolvers<PodSession>();
  const exited = Promise.withResolvers<number>();
  // A caller that closes the session does not wait for its end.
  exited.promise.catch(() => undefined);
  const { input, sending, output, errors } = openStreams(id, hooks);
  const readables = [output.readable, errors.readable];
  let openReadables = readables.length;
  for (const readable of readables) {
    readable.once("close", () => {
      openReadables -= 1;
      if (openReadables === 0) window.close();
    });
  }
  let isOpen = false;
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
    if (!hasLeft) {
      // The other side hangs up the program.
      send(formatFrame("close", id));
      cutOff();
    }
    for (const readable of readables) readable.destroy();
  };
  const sendMessage = (content: object) => {
    if (!hasLeft) send(formatMessage(id, content));
  };
  const { resize, signal } = controls(sendMessage, whenDrained);
  const session: PodSession = {
    input,
    output: output.readable,
    errors: errors.readable,
    resize,
    ended: exited.promise,
    signal,
    close,
  };
  const takeAnswer = (frame: Frame) => {
    const answer = parseAnswer(frame);
    const { exitCode } = answer;
    if (answer.isOpen ? isOpen : hasExited) throw new Error("A program begins and ends once");
    if (exitCode === undefined) {
      isOpen = true;
      return opened.resolve(session);
    }
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

const MOST_WAITING_SIGNALS = 16;

/** Sends sizes and signals. While the tunnel is blocked, it keeps the last size and a few signals. */
function controls(sendMessage: (content: object) => void, whenDrained: StreamHooks["whenDrained"]) {
  let size: { columns: number; rows: number } | undefined;
  let signals = 0;
  return {
    resize: (columns: number, rows: number) => {
      const isScheduled = size !== undefined;
      size = { columns, rows };
      if (isScheduled) return;
      setImmediate(() =>
        whenDrained(() => {
          sendMessage({ resize: size });
          size = undefined;
        }),
      );
    },
    signal: async (signal: NodeJS.Signals) => {
      if (signals >= MOST_WAITING_SIGNALS) return;
      signals += 1;
      whenDrained(() => {
        signals -= 1;
        sendMessage({ signal });
      });
    },
  };
}

function openStreams(id: number, { send, whenDrained, window }: StreamHooks) {
  const sending = sender(id, send, whenDrained);
  const input = new Writable({
    highWaterMark: 1,
    write: (bytes: Buffer, _, done) => sending.write(bytes, done),
    final: (done) => done(void sending.end()),
  }).on("error", () => undefined);
  // Both count against one window, as in the pod.
  return { input, sending, output: openReadable(id, send, window), errors: openReadable(id, send, window) };
}

function openReadable(id: number, send: (bytes: Buffer) => void, window: ReceiveWindow) {
  const receiving = receiver(id, send, (part) => readable.push(part), window);
  // Parts wait in the receiver, which counts them.
  const readable = new Readable({ highWaterMark: 1, read: receiving.read });
  return { readable, take: receiving.take, hasEnded: receiving.hasEnded };
}
