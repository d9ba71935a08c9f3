import { closeSync, fstatSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { LogPart } from "#core/ports/run-log.ts";
import { unlessMissing } from "../files.ts";
import type { Isolation } from "../runs/records.ts";
import { openFifo } from "./pipes.ts";

interface Output {
  readonly descriptor: number;
  /** Call this once the commands have inherited the descriptor. */
  closeDescriptor(): void;
  /** Resolves when all output is written; after `withinMs`, only output up to then. */
  drain(withinMs: number): Promise<void>;
}

export function openOutput(directory: string, fifo: string, isolation: Isolation): Output {
  const log = keepNewest(directory);
  const { descriptor, pipe, takeRest } = openFifo(fifo, isolation, log.add);
  const ended = new Promise<void>((resolve) => pipe.once("close", () => resolve()));
  void ended.then(log.close);
  return {
    descriptor,
    closeDescriptor: () => closeSync(descriptor),
    drain: async (withinMs) => {
      const late = setTimeout(takeRest, withinMs);
      await ended;
      clearTimeout(late);
    },
  };
}

/** Size at which the next file begins. Two files are kept, so they always hold the newest MiB. */
const FILE_BYTES = 1024 * 1024;

/** File name: the position of its first byte. Bytes never move, so readers can follow the writer. */
const nameForm = /^log-(0|[1-9][0-9]{0,14})$/;

/** `add` never throws. */
export function keepNewest(directory: string): { add(bytes: Buffer): void; close(): void } {
  let start = outputEnd(directory);
  let size = 0;
  let file = openSync(fileAt(directory, start), "a", 0o600);
  return {
    add: (bytes) => {
      unlessRefused(() => {
        size += writeSync(file, bytes);
      });
      if (size < FILE_BYTES) return;
      unlessRefused(() => {
        const next = openSync(fileAt(directory, start + size), "a", 0o600);
        closeSync(file);
        file = next;
        for (const older of startsIn(directory)) if (older < start) rmSync(fileAt(directory, older), { force: true });
        start += size;
        size = 0;
      });
    },
    close: () => closeSync(file),
  };
}

export function readOutput(directory: string, from = 0): LogPart {
  const starts = startsIn(directory);
  if (starts.length === 0) return { start: 0, bytes: earlierOutput(directory) };
  const begin = Math.min(from, outputEnd(directory));
  let [start, parts, size]: [number, Buffer[], number] = [begin, [], 0];
  for (const at of starts) {
    const position = Math.max(begin, at);
    const bytes = readFrom(fileAt(directory, at), position - at);
    if (bytes === undefined || bytes.length === 0) continue;
    // The writer has removed an older file, so start again here.
    if (start + size !== position) [start, parts, size] = [position, [], 0];
    parts.push(bytes);
    size += bytes.length;
  }
  const bytes = Buffer.concat(parts);
  const newest = bytes.subarray(-FILE_BYTES);
  return { start: start + bytes.length - newest.length, bytes: newest };
}

/** Reads the output of a run that an earlier release started; its files have no positions. */
function earlierOutput(directory: string): Buffer {
  const files = ["log.1", "log"].map((name) => readFrom(join(directory, name), 0) ?? Buffer.alloc(0));
  return Buffer.concat(files).subarray(-FILE_BYTES);
}

export function outputEnd(directory: string): number {
  const start = startsIn(directory).at(-1);
  if (start === undefined) return 0;
  return start + (statSync(fileAt(directory, start), { throwIfNoEntry: false })?.size ?? 0);
}

function fileAt(directory: string, start: number): string {
  return join(directory, `log-${start}`);
}

function startsIn(directory: string): number[] {
  const names = unlessMissing(() => readdirSync(directory)) ?? [];
  return names
    .flatMap((name) => nameForm.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((a, b) => a - b);
}

function readFrom(path: string, offset: number): Buffer | undefined {
  const file = unlessMissing(() => openSync(path, "r"));
  if (file === undefined) return undefined;
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - offset));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, offset));
  } finally {
    closeSync(file);
  }
}

/** A full disk loses output, but must not end a run or a command. */
export function unlessRefused(write: () => void): void {
  try {
    write();
  } catch {
    return;
  }
}
