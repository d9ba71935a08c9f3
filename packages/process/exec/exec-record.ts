import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ExecStatus } from "#core/ports/exec.ts";
import { readObject } from "../runs/records.ts";
import { isDirectory, readBytes, readWhole, writeWhole } from "../runs/run-directory.ts";

/** `ended.json`: written last, after all other files of the exec are final. */
export interface ExecEnd {
  readonly exitCode: number;
  readonly timedOut: boolean;
  readonly stdoutCut: boolean;
  readonly stderrCut: boolean;
  readonly directory: string | null;
}

/** Reports whether an id is safe in a path. */
export function isExecId(id: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,99}$/.test(id);
}

function execDirectory(directory: string, id: string): string {
  return join(directory, "execs", id);
}

/** Reserved at the start, so that the end can be recorded on a full disk. */
const reserve = { name: "reserve", bytes: 4_096 };

/** Throws on a full disk, and leaves no files then. */
export function makeExecDirectory(directory: string, id: string): string {
  const place = execDirectory(directory, id);
  mkdirSync(place, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(join(place, reserve.name), Buffer.alloc(reserve.bytes), { mode: 0o600 });
    return place;
  } catch (error) {
    rmSync(place, { recursive: true, force: true });
    throw error;
  }
}

export function writeExecEnd(place: string, end: ExecEnd): void {
  rmSync(join(place, reserve.name), { force: true });
  writeWhole(place, "ended.json", JSON.stringify(end));
}

export function seeExec(directory: string, id: string): ExecStatus | undefined {
  const place = execDirectory(directory, id);
  if (!isDirectory(place)) return undefined;
  const end = readObject(place, "ended.json");
  const [stdoutCut, stderrCut] = [end?.stdoutCut === true, end?.stderrCut === true];
  return {
    state: end ? "ended" : "running",
    exitCode: typeof end?.exitCode === "number" ? end.exitCode : null,
    timedOut: end?.timedOut === true,
    stdout: formatText(readBytes(place, "stdout"), stdoutCut),
    stderr: formatText(readBytes(place, "stderr"), stderrCut),
    stdoutCut,
    stderrCut,
    directory: typeof end?.directory === "string" ? end.directory : null,
  };
}

export function hasEnded(directory: string, id: string): boolean {
  return readWhole(execDirectory(directory, id), "ended.json") !== undefined;
}

const keptMs = 600_000;
/** Clients may still be reading. */
const readingMs = 30_000;
const mostKept = 200;

/** Deletes results older than 10 minutes, and those beyond the newest 200 that clients have had time to read. */
export function forgetOldExecs(directory: string, now: number): void {
  const folder = join(directory, "execs");
  const ended = readdirSync(folder).flatMap((id) => {
    const found = statSync(join(folder, id, "ended.json"), { throwIfNoEntry: false });
    return found ? [{ id, ageMs: now - found.mtimeMs }] : [];
  });
  ended.sort((left, right) => left.ageMs - right.ageMs);
  ended.forEach(({ id, ageMs }, index) => {
    const isOld = ageMs > keptMs || (index >= mostKept && ageMs > readingMs);
    if (isOld) rmSync(join(folder, id), { recursive: true, force: true });
  });
}

/** Drops a character that the limit cut in two. Other invalid bytes become U+FFFD. */
function formatText(bytes: Buffer, isCut: boolean): string {
  return bytes.subarray(0, isCut ? wholeCharacters(bytes) : bytes.length).toString("utf8");
}

/** Returns the length without an incomplete last character (RFC 3629, section 3). */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const needs = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needs > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
