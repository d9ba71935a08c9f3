import { expect } from "vitest";
import type { OriginAnswer } from "./edge.ts";
import type { ClientSocket } from "./runtime/socket-client.ts";

/** Groups of frames that a client sends to a web shell. A group is sent when the previous one was answered. */
export type Talk = readonly (readonly (object | string)[])[];

const command = (text: string, more: object = {}) => ({ type: "command", command: text, ...more });
const ofLength = (bytes: number) => command("x".repeat(bytes - JSON.stringify(command("")).length));

export const talks: Readonly<Record<string, Talk>> = {
  "a command with output": [[command("echo out; echo err >&2")]],
  "an exit code": [[command("exit 3")]],
  "a signal": [[command("kill -KILL $$")]],
  "a directory that lasts": [[command("mkdir -p deep && cd deep")], [command("pwd")]],
  "a directory that was removed": [
    [command("mkdir -p lost && cd lost && rmdir ../lost")],
    [command("pwd")],
    [command("pwd")],
  ],
  "a variable that does not last": [[command("A=1; export A")], [command("echo [$A]")]],
  "a program that there is not": [[command("nothing-of-this-name")]],
  "two commands at once": [[command("cd /; sleep 0.3; echo one"), command("pwd; echo two")]],
  "a time-out": [[command("echo begun; sleep 60", { timeout: 1 })]],
  "bytes that are no text": [[command("printf 'a\\377b'")]],
  "a ping": [[{ type: "ping" }]],
  "a ping while a command runs": [[command("sleep 1"), { type: "ping" }]],
  "a long result": [[command("yes | head -c 400000; yes no | head -c 200000 >&2")]],
  "no JSON": [["{"], ["ping"], ["null"], ["[]"], ["7"]],
  "no type": [[{}], [{ type: 7 }], [{ type: "" }]],
  "a size of a terminal": [[{ type: "resize", cols: 80, rows: 24 }]],
  "a type of half the frame": [[{ type: "é".repeat(200) }]],
  "no command": [[{ type: "command" }], [command(" ")], [{ type: "command", command: 7 }]],
  "a NUL character": [[command("a\0b")]],
  "time-outs that are none": [
    [command("pwd", { timeout: "soon" }), command("pwd", { timeout: 0 }), command("pwd", { timeout: 3_601 })],
  ],
  "a command over 64 KB": [[ofLength(70_000)], [{ type: "ping" }]],
  "a frame over 96 KB": [[ofLength(100_000)], [{ type: "ping" }]],
  "a frame over 128 KB": [[ofLength(140_000)], [{ type: "ping" }]],
  "a frame over 1 MiB": [[ofLength(1_100_000)]],
  "an exit, and a command behind it": [[command("pwd"), { type: "exit" }, command("echo behind")]],
};

/** Its answer follows the answers to all earlier frames. Only the local server's answer to a ping may come sooner. */
const fence = { type: "behind-all" };
const passed = { type: "error", message: `Unknown type: ${fence.type}` };

/** Sends all groups, and returns all frames received and whether the connection was closed. */
export async function recordTranscript(
  talk: Talk,
  opened: ClientSocket | OriginAnswer,
  deliver: () => Promise<unknown>,
): Promise<readonly unknown[]> {
  if (!("send" in opened)) return [opened.status, Buffer.from(opened.body).toString()];
  const groups = [[], ...talk];
  for (const [at, group] of groups.entries()) {
    for (const frame of group) await opened.send(frame);
    await opened.send(fence);
    const isOver = async () => {
      await deliver();
      return opened.isClosed() || opened.frames.filter(isPassed).length > at;
    };
    await expect.poll(isOver, { interval: 10, timeout: 20_000 }).toBe(true);
  }
  const wasClosed = opened.isClosed();
  await opened.close();
  return [...opened.frames.filter((frame) => !isPassed(frame)), wasClosed ? "closed" : "open"];
}

function isPassed(frame: object): boolean {
  return JSON.stringify(frame) === JSON.stringify(passed);
}

export function joined(transcript: readonly unknown[]): readonly unknown[] {
  return transcript.reduce<readonly unknown[]>((before, frame) => {
    const last = before.at(-1) as Partial<Result> | undefined;
    if (last?.more !== true) return before.concat([frame]);
    const { more: _, ...entry } = last as Result;
    const next = frame as Result;
    const whole = { ...entry, ...next, stdout: entry.stdout + next.stdout, stderr: entry.stderr + next.stderr };
    return before.slice(0, -1).concat([whole]);
  }, []);
}

interface Result {
  readonly stdout: string;
  readonly stderr: string;
  readonly more?: boolean;
}
