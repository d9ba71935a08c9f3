/** A command to be run beside the run's own, in a session of its own. */
export interface Exec {
  /** Lower-case letters, digits and `-`: the same one twice is run once. */
  readonly id: string;
  /** Run as they are: no shell is built from them. */
  readonly words: readonly string[];
  readonly stdin: string;
  readonly env: Readonly<Record<string, string>>;
  /** Absolute, as seen inside; undefined: where the run works. */
  readonly directory: string | undefined;
  /** Then its whole process group is killed. */
  readonly timeoutMs: number;
}

/** What became of an exec. */
export interface ExecStatus {
  readonly state: "running" | "ended";
  /** 128 + signal where one killed it, 124 at its time-out; null while it runs. */
  readonly exitCode: number | null;
  readonly timedOut: boolean;
  /** The first MiB of each stream, as UTF-8 with bad bytes replaced. */
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutCut: boolean;
  readonly stderrCut: boolean;
  /** Where a shell's last command left it, if it said so (see `directoryFile`); null otherwise. */
  readonly directory: string | null;
}
