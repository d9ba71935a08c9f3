import type { NodeRef } from "../../ports/compute.ts";
import type { EndPhase } from "./phases.ts";
import type { Environment } from "./record.ts";

export interface Outcome {
  readonly phase: EndPhase;
  readonly reason: string | null;
  readonly at: number;
  /** Set if a deadline decided the end. A run that had already ended by itself then ends in its own way. */
  readonly isLimit?: true | undefined;
  readonly exitCode?: number | undefined;
}

export interface ArchiveUse {
  readonly blob: string;
  readonly file: string;
  /** Written before the archive begins: from then on it may use the volume, even if the worker dies. */
  readonly named?: true | undefined;
  /** Start of its minute; null before the archive has begun. */
  readonly startedAt: number | null;
  /** The unresponsive node where the archive was to end; no run may be bound to it. */
  readonly silent?: NodeRef | undefined;
  readonly settled: boolean;
}

export interface BackupClaim {
  readonly attempt: number;
  /** Suffix of the latest try's tag. It changes after each try that may have made a snapshot. Absent: `attempt`. */
  readonly tried?: number | undefined;
  readonly since: number;
  readonly until: number;
  /** Why the latest try certainly made nothing; absent if it may have made a snapshot. */
  readonly refused?: string | undefined;
}

export interface End {
  /** Set once the end is decided; becomes the phase after `stopping`. */
  readonly outcome: Outcome | null;
  /** The zip made before the deletion. `settled`: made, given up, or not wanted. */
  readonly archive: ArchiveUse | null;
  readonly backup: BackupClaim | null;
  readonly at: number | null;
  readonly stoppingAt: number | null;
  readonly waitsFor: string | null;
  readonly alarmedAt: number | null;
  /** First reconcile that found nothing left, and their number (docs/architecture/consistency.md#paused-workers). */
  readonly cleanSince: number | null;
  readonly cleanLooks: number;
}

/**
 * Reports whether an archive uses a volume, which must then stay until the archive is settled
 * (steps/end/keep-archive.ts).
 */
export function isArchiving({ end: { archive } }: Environment): boolean {
  return archive !== null && mayBeBegun(archive) && !archive.settled;
}

/** Reports whether the archive may have begun. An earlier version did not set `named`. */
export function mayBeBegun({ named, startedAt }: ArchiveUse): boolean {
  return named === true || startedAt !== null;
}
