import type { ExecStatus } from "#core/ports/exec.ts";

/** Limit of each stream in an answer. One byte more shows that there was more. */
export const keptBytes = 1024 * 1024;
/** Longest path in Linux. The command owns the file that names its directory, and may fill it. */
export const directoryBytes = 4096;
export const answerBytes = 2 * (keptBytes + 1) + directoryBytes + 1024;

export interface ExecAnswer {
  /** null while the command runs. */
  readonly exitCode: number | null;
  readonly timedOut: boolean;
  readonly directory: string;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export function toExecStatus({ exitCode, timedOut, directory, stdout, stderr }: ExecAnswer): ExecStatus {
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

/** Decodes the kept bytes, without a partial character at the end. */
function getFirst(bytes: Buffer): string {
  if (bytes.length <= keptBytes) return bytes.toString();
  let end = keptBytes;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString();
}
