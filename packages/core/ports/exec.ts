export interface Exec {
  /** Lower-case letters, digits and `-`. A repeated id runs once. */
  readonly id: string;
  /** The arguments. No shell is involved. */
  readonly words: readonly string[];
  readonly stdin: string;
  readonly env: Readonly<Record<string, string>>;
  /** An absolute path inside the run, or undefined for its working directory. */
  readonly directory: string | undefined;
  /** After this time, the whole process group is killed. */
  readonly timeoutMs: number;
}

export interface ExecStatus {
  readonly state: "running" | "ended";
  /** 128 + signal if a signal killed it, 124 at its timeout, null while it runs. */
  readonly exitCode: number | null;
  readonly timedOut: boolean;
  /** The first MiB of each stream, as UTF-8 with invalid bytes replaced. */
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutCut: boolean;
  readonly stderrCut: boolean;
  /** The directory in which a shell's last command ended, if reported (see `directoryFile`). */
  readonly directory: string | null;
}
