import type { Environment } from "#core/environments/record/record.ts";
import { endWarning } from "#core/environments/steps/warnings.ts";
import type { ExecResult } from "#core/environments/verbs/exec.ts";
import { Problem } from "#core/problem.ts";
import { keyText } from "#core/store/keys.ts";
import type { Closing, PollResult } from "#http/socket.ts";
import {
  type ClientFrame,
  fromFrame,
  goodbye,
  HOME,
  pong,
  toError,
  toNotice,
  toResult,
  toWelcome,
} from "../schemas.ts";

export type ShellState = Readonly<{
  id: string;
  uid: string;
  about: string;
  directory: string;
  usedAt: number;
  told: number;
}>;

export type ShellCommand = ClientFrame & { readonly type: "command" };

export interface ShellStep {
  readonly state: ShellState;
  readonly frames: readonly object[];
  readonly command?: ShellCommand;
  readonly closing?: Closing;
}

const IDLE_MS = 600_000;

export const gone: Closing = { code: 1001, reason: "The workspace has ended" };
const left: Closing = { code: 1000, reason: "Goodbye" };
const idle: Closing = { code: 1000, reason: "No command for 10 minutes" };

export function beginShell(environment: Environment, now: number): ShellStep {
  const { id, uid, events } = environment;
  const about = `${keyText(environment)}#${uid}`;
  const state = { id, uid, about, directory: HOME, usedAt: now, told: events.count };
  const warning = endWarning(environment, now);
  return { state, frames: [toWelcome(id), ...(warning === null ? [] : [toNotice(warning)])] };
}

export function takePoll(state: ShellState, { notice, closing }: PollResult): ShellStep {
  const isNew = notice !== undefined && notice.n > state.told;
  return {
    state: isNew ? { ...state, told: notice.n } : state,
    frames: isNew ? [toNotice(notice.words)] : [],
    ...(closing && { closing }),
  };
}

/** Handles a client frame, "" for a binary one. A ping does not count as use. */
export function takeFrame(state: ShellState, text: string, now: number): ShellStep {
  try {
    const frame = fromFrame(text);
    if (frame.type === "ping") return { state, frames: [pong] };
    const used = { ...state, usedAt: now };
    if (frame.type === "command") return { state: used, frames: [], command: frame };
    return { state: used, frames: [goodbye], closing: left };
  } catch (error) {
    return takeFailure(state, error, now);
  }
}

export function isPing(text: string): boolean {
  try {
    return fromFrame(text).type === "ping";
  } catch {
    return false;
  }
}

/** The next command starts in the directory where this one ended. */
export function takeResult(state: ShellState, command: string, result: ExecResult, now: number): ShellStep {
  const directory = placeAfter(result, state.directory);
  return { state: { ...state, directory, usedAt: now }, frames: toResult(command, result, directory) };
}

/** Reports a failed frame or command. Only a `Problem` shows its reason to the client. */
export function takeFailure(state: ShellState, error: unknown, now: number): ShellStep {
  const problem = error instanceof Problem ? error : undefined;
  const used = { ...state, usedAt: now };
  if (problem?.kind === "notFound") return { state: used, frames: [], closing: gone };
  return { state: used, frames: [toError(problem?.message ?? "Internal server error")] };
}

export function overdue({ usedAt }: ShellState, now: number): Closing | undefined {
  return now - usedAt > IDLE_MS ? idle : undefined;
}

/** Returns the next directory. A shell whose directory was removed starts at home again. */
function placeAfter({ directory, timedOut, returncode }: ExecResult, before: string): string {
  const neverBegan = directory === null && !timedOut && returncode > 0 && returncode < 124;
  return directory ?? (neverBegan ? HOME : before);
}
