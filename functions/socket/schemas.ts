import * as z from "zod";
import type { ExecResult } from "#core/environments/verbs/exec.ts";
import { Problem } from "#core/problem.ts";

/** Start directory of every shell (docs/apis/onmemos.md#web-shell). */
export const HOME = "/workspace";

const COMMAND_BYTES = 65_536;
const COMMAND_SECONDS = 300;
const MOST_SECONDS = 3_600;
/** Characters per frame, so that its JSON stays below 1 MiB with a command of 64 KiB, even fully escaped. */
const PART_LENGTH = 98_304;

const timeout = `timeout must be between 1 and ${MOST_SECONDS}`;
const Command = z.object({
  command: z
    .string("command is required")
    .min(1, "command is required")
    .refine((text) => text.trim() !== "", "command is required")
    .refine((text) => new TextEncoder().encode(text).length <= COMMAND_BYTES, `command is over ${COMMAND_BYTES} bytes`),
  timeout: z.int("timeout must be an integer").min(1, timeout).max(MOST_SECONDS, timeout).default(COMMAND_SECONDS),
});

export type ClientFrame =
  | { readonly type: "ping" | "exit" }
  | { readonly type: "command"; readonly command: string; readonly timeout: number };

export function fromFrame(text: string): ClientFrame {
  const frame = getJson(text);
  const type = typeof frame === "object" && frame !== null && "type" in frame ? frame.type : undefined;
  if (typeof type !== "string" || type === "") throw new Problem("invalid", "type is required");
  if (type === "ping" || type === "exit") return { type };
  if (type !== "command") throw new Problem("invalid", `Unknown type: ${type.slice(0, 100)}`);
  const parsed = Command.safeParse(frame);
  if (parsed.success) return { type, ...parsed.data };
  throw new Problem("invalid", parsed.error.issues[0]?.message ?? "The command is not valid");
}

function getJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem("invalid", "Invalid JSON");
  }
}

export function toWelcome(id: string): object {
  const message = `Connected to workspace: ${id}`;
  return { type: "welcome", message, workspace_id: id, current_directory: HOME };
}

export function toNotice(message: string): object {
  return { type: "notice", message };
}

export const pong = { type: "pong" };
export const goodbye = { type: "exit", message: "Disconnecting from workspace" };

export function toError(message: string): object {
  return { type: "error", message };
}

export function toResult(command: string, result: ExecResult, directory: string): object[] {
  const { returncode } = result;
  const split = (text: string) => listParts(text, PART_LENGTH, ({ length }) => length);
  const [out, err] = [split(result.stdout), split(result.stderr)];
  const parts = [...out.map((stdout) => ({ stdout, stderr: "" })), ...err.map((stderr) => ({ stdout: "", stderr }))];
  const isShort = out.length <= 1 && err.length <= 1 && result.stdout.length + result.stderr.length <= PART_LENGTH;
  const frames = isShort ? [{ stdout: result.stdout, stderr: result.stderr }] : parts;
  return frames.map((streams, at) => ({
    type: "command_result",
    command,
    ...streams,
    returncode,
    success: returncode === 0,
    current_directory: directory,
    ...(at < frames.length - 1 && { more: true }),
  }));
}

/**
 * Splits a result into frames with at most this many bytes of JSON besides the command. Returns other frames unchanged.
 */
export function resultFrames(frame: object, mostBytes: number): object[] {
  const { stdout, stderr, more } = frame as Readonly<Record<string, unknown>>;
  if (typeof stdout !== "string" || typeof stderr !== "string" || getSize(frame) <= mostBytes) return [frame];
  const room = Math.max(LEAST_ROOM, mostBytes - getSize({ ...frame, stdout: "", stderr: "", more: true }));
  const parts = [
    ...listParts(stdout, room, sizeInJson).map((part) => ({ stdout: part, stderr: "" })),
    ...listParts(stderr, room, sizeInJson).map((part) => ({ stdout: "", stderr: part })),
  ];
  return parts.map((streams, at) => ({
    ...frame,
    ...streams,
    ...(more === true || at < parts.length - 1 ? { more: true } : {}),
  }));
}

/** Guaranteed even for a long command. */
const LEAST_ROOM = 8_192;

function getSize(frame: object): number {
  return new TextEncoder().encode(JSON.stringify(frame)).length;
}

function listParts(text: string, most: number, sizeOfChar: (char: string) => number): string[] {
  const parts: string[] = [];
  let [start, at, size] = [0, 0, 0];
  for (const char of text) {
    const more = sizeOfChar(char);
    if (size + more > most) {
      parts.push(text.slice(start, at));
      [start, size] = [at, 0];
    }
    at += char.length;
    size += more;
  }
  return start < text.length ? [...parts, text.slice(start)] : parts;
}

function sizeInJson(char: string): number {
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x20 || (code >= 0xd800 && code < 0xe000)) return 6;
  if (code < 0x80) return char === '"' || char === "\\" ? 2 : 1;
  if (code < 0x800) return 2;
  return code < 0x10000 ? 3 : 4;
}
