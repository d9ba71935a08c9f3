import type { NodeRef } from "../../ports/compute.ts";
import type { EndPhase } from "./phases.ts";

export interface Outcome {
  readonly phase: EndPhase;
  readonly reason: string | null;
  readonly at: number;
  /** Decided by a deadline: a run that is found to have ended by itself before that ends in its own way. */
  readonly isLimit?: true | undefined;
  /** The exit code of the command that ended it. */
  readonly exitCode?: number | undefined;
}

/** The zip of one of its volumes. */
export interface ArchiveUse {
  readonly blob: string;
  /** What it is called towards its owner. */
  readonly file: string;
  /** Written before it is begun: from then on it may have its volume, whoever dies. */
  readonly named?: true | undefined;
  /** When its minute began, after it did; null: not before its compute is gone. */
  readonly startedAt: number | null;
  /** It was to end there, and the machine does not answer: no run may be bound to that. */
  readonly silent?: NodeRef | undefined;
  readonly settled: boolean;
}

/** One of three attempts to back a disk up, and the latest try of it. */
export interface BackupClaim {
  readonly attempt: number;
  /** What the latest try's tag ends with: one of its own after each that may have made something. Missing: `attempt`. */
  readonly tried?: number | undefined;
  /** When the attempt began. */
  readonly since: number;
  /** Nobody else acts before. */
  readonly until: number;
  /** Why the latest try certainly made nothing; missing: it may have made a snapshot. */
  readonly refused?: string | undefined;
}

/** How it ends, or was stopped, and what of that is done. */
export interface End {
  /** Set from the moment the end is decided: the final word while it is stopping. */
  readonly outcome: Outcome | null;
  /** The zip of its volume that is made before it is deleted; `settled`: made, given up, or not wanted. */
  readonly archive: ArchiveUse | null;
  /** The claim under which its disk's snapshot is being made. */
  readonly backup: BackupClaim | null;
  /** When it ended, or was stopped. */
  readonly at: number | null;
  /** When it began to stop, the latest time. */
  readonly stoppingAt: number | null;
  /** What it waits for while it stops. */
  readonly waitsFor: string | null;
  /** When it alarmed because it stops for too long. */
  readonly alarmedAt: number | null;
  /**
   * Since when nothing of it was seen in the cluster, and how many looks said so
   * (docs/architecture/consistency.md#paused-workers).
   */
  readonly cleanSince: number | null;
  readonly cleanLooks: number;
}
