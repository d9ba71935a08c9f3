import type { ExecStatus } from "#core/ports/exec.ts";

/** Of each stream this much is told, and one byte more where there was more. */
export const keptBytes = 1024 * 1024;
/** Of a directory: the longest path that Linux takes. The file that names it belongs to the command, which may fill it. */
export const directoryBytes = 4096;
/** What is told at most: both streams, the directory and a line. */
export const answerBytes = 2 * (keptBytes + 1) + directoryBytes + 1024;

/** What became of a command, as a container tells it. */
export interface ExecAnswer {
  /** null: it runs. */
  readonly exitCode: number | null;
  readonly timedOut: boolean;
  readonly directory: string;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export function toMachineStatus({ exitCode, timedOut, directory, stdout, stderr }: ExecAnswer): ExecStatus {
  return {
    state: exitCode === null ? "running" : "ended",
    exitCode,
    timedOut,
    stdout: getFirst(stdout),
    stderr: getFirst(stderr),
    stdoutCut: stdout.length > keptBytes,
    stderrCut: stderr.length > keptBytes,
    directory: directory.startsWith("/") ? directory : null,
  };
}

/** As text, and without a character of which only a part was kept. */
function getFirst(bytes: Buffer): string {
  if (bytes.length <= keptBytes) return bytes.toString();
  let end = keptBytes;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString();
}
