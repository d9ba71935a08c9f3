import type { UserContext } from "../../context.ts";
import type { LiveLogs, LogPart } from "../../ports/run-log.ts";
import {
  baseOfRun,
  endOfLog,
  isLogComplete,
  isPrinting,
  type KeptLog,
  knownEnd,
  logEndsAt,
} from "../record/log/kept-log.ts";
import { getEnvironment } from "../record/read.ts";
import type { Environment } from "../record/record.ts";

const TRIES = 3;

export interface Window extends LogPart {
  readonly isComplete: boolean;
}

/** Reads the present output of a run whose last copy is not made yet. */
export async function readLive(
  environment: Environment,
  live: LiveLogs | undefined,
  after: number,
): Promise<Window | undefined> {
  const { uid, run, log } = environment;
  if (!live || run.appliedAt === null || run.removedAt !== null || isLogComplete(environment)) return undefined;
  // A copy contains the last output of a remote log, whose stream may be late or gone.
  if (live.isRemote && !isPrinting(environment)) return undefined;
  const base = baseOfRun(environment);
  // Only the copy holds the output of earlier runs.
  if (after < base && (log?.start ?? 0) < base && !environment.policy.restarts) return undefined;
  const part = await live.read(uid, run.n, Math.max(0, after - base), knownEnd(environment));
  if (!part) return undefined;
  const window = { start: base + part.start, bytes: part.bytes, isComplete: false };
  // A run without output yet would hide the output of earlier runs.
  return log?.blob && endOffset(window) < endOfCopy(log) ? undefined : window;
}

export async function readCopy(
  ctx: UserContext<"table" | "blobs">,
  id: string,
  isWanted: (log: KeptLog) => boolean,
): Promise<Window & { readonly isCut: boolean }> {
  let isComplete = false;
  for (let tries = 0; tries < TRIES; tries++) {
    const environment = await getEnvironment(ctx, id);
    const { log } = environment;
    isComplete = isLogComplete(environment);
    const isOver = ctx.clock.now() >= (logEndsAt(environment) ?? Number.POSITIVE_INFINITY);
    if (!log?.blob || isOver) break;
    if (!isWanted(log)) return { start: endOfCopy(log), bytes: new Uint8Array(), isCut: log.cut, isComplete };
    const bytes = await ctx.blobs.get(log.blob);
    // A newer copy has replaced a missing one, so read the record again.
    if (bytes) return { start: log.start ?? 0, bytes, isCut: log.cut, isComplete };
  }
  return { start: 0, bytes: new Uint8Array(), isCut: false, isComplete };
}

/** Returns the end of a copy, or Infinity for records of earlier versions, which lack its length. */
export function endOfCopy(log: KeptLog): number {
  return log.bytes === undefined ? Number.POSITIVE_INFINITY : endOfLog(log);
}

export function endOffset({ start, bytes }: LogPart): number {
  return start + bytes.length;
}

interface PartOptions {
  readonly after: number;
  readonly mostBytes: number;
  /** Whether the window ends the output, so that an incomplete character at its end stays incomplete. */
  readonly isComplete: boolean;
}

/** Returns whole characters from a position on. Skips the rest of a character at the window's start. */
export function partOfWindow({ start, bytes }: LogPart, { after, mostBytes, isComplete }: PartOptions): LogPart {
  const from = after >= start ? Math.min(after - start, bytes.length) : wholeFrom(bytes);
  const to = Math.min(from + mostBytes, bytes.length);
  const half = to === bytes.length && isComplete ? 0 : halfCharacterBefore(bytes.subarray(from, to));
  return { start: start + from, bytes: bytes.subarray(from, to - half) };
}

const isContinuation = (byte = 0) => (byte & 0xc0) === 0x80;

function wholeFrom(bytes: Uint8Array): number {
  const at = bytes.subarray(0, 4).findIndex((byte) => !isContinuation(byte));
  return Math.max(0, at);
}

function halfCharacterBefore(bytes: Uint8Array): number {
  for (let length = 1; length <= Math.min(3, bytes.length); length++) {
    const byte = bytes[bytes.length - length];
    if (!isContinuation(byte)) return length < lengthFrom(byte) ? length : 0;
  }
  return 0;
}

/** Returns the length of the character that begins with this byte (RFC 3629 section 3). */
function lengthFrom(first = 0): number {
  if (first >= 0xf5) return 1;
  if (first >= 0xf0) return 4;
  if (first >= 0xe0) return 3;
  return first >= 0xc2 ? 2 : 1;
}
