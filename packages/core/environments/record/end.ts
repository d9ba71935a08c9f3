import type { NodeRef } from "../../ports/compute.ts";
import type { EndPhase } from "./phases.ts";

export interface Outcome {
  readonly phase: EndPhase;
  readonly reason: string | null;
  readonly at: number;
  /** Set if a deadline decided the end. A run that had already ended by itself then ends in its own way. */
  readonly isLimit?: true | undefined;
  /** Exit code of the command that ended the environment. */
  readonly exitCode?: number | undefined;
}

/** The zip of one volume. */
export interface ArchiveUse {
  readonly blob: string;
  /** File name shown to the owner. */
  readonly file: string;
  /** Written before the archive begins: from then on it may use the volume, even if the worker dies. */
  readonly named?: true | undefined;
  /**
   * Time of the actual begin, from which its minute counts; null until then, and at least until the compute is gone.
   */
  readonly startedAt: number | null;
  /** The unresponsive node where the archive was to end; no run may be bound to it. */
  readonly silent?: NodeRef | undefined;
  readonly settled: boolean;
}

/** One of three attempts to back up a disk, with its latest try. */
export interface BackupClaim {
  readonly attempt: number;
  /** Suffix of the latest try's tag. It changes after each try that may have made a snapshot. Absent: `attempt`. */
  readonly tried?: number | undefined;
  /** Start of the attempt. */
  readonly since: number;
  /** No other worker acts before this time. */
  readonly until: number;
  /** Why the latest try certainly made nothing; absent if it may have made a snapshot. */
  readonly refused?: string | undefined;
}

/** The progress of an end or a stop. */
export interface End {
  /** Set once the end is decided; becomes the phase after `stopping`. */
  readonly outcome: Outcome | null;
  /** The zip made before the deletion. `settled`: made, given up, or not wanted. */
  readonly archive: ArchiveUse | null;
  /** The claim under which the disk's snapshot is made. */
  readonly backup: BackupClaim | null;
  /** Time of the end or the stop. */
  readonly at: number | null;
  /** Start of the latest stop. */
  readonly stoppingAt: number | null;
  /** The present obstacle, while stopping. */
  readonly waitsFor: string | null;
  /** Time of the alarm that stopping takes too long. */
  readonly alarmedAt: number | null;
  /**
   * First look that saw nothing in the cluster, and the number of such looks
   * (docs/architecture/consistency.md#paused-workers).
   */
  readonly cleanSince: number | null;
  readonly cleanLooks: number;
}
