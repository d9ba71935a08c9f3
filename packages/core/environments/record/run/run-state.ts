import type { PortStatus, Resources, RunAddress, Share } from "../../../ports/compute.ts";
import type { Machine } from "./machine.ts";

/** The present run, from its request until it is stopped, ended or requested again. */
export interface RunState {
  readonly n: number;
  /** The limits that the latest run has. */
  readonly resized: Resources | null;
  /** Refusals of the limits that are wanted now, and the time of the next try. */
  readonly resizing?: { readonly tries: number; readonly nextAt: number } | undefined;
  /** Why the latest run ended by itself, if it can be started again (docs/apis/common.md#phases-and-words). */
  readonly error: string | null;
  readonly preparingAt: number | null;
  readonly startedAt: number | null;
  /**
   * When a later run searches the cluster for leftovers of earlier ones
   * (docs/architecture/consistency.md#paused-workers).
   */
  readonly leftoversAt: number | null;
  /** The capacity it holds, from preparing until its compute is gone. */
  readonly grant: { readonly id: string; readonly shares: readonly Share[]; readonly at: number } | null;
  /** Written before the first call that can start this run. While it is null, the run has no objects anywhere. */
  readonly applyingAt: number | null;
  /**
   * First look after which no new worker starts this run. Workers that read the record earlier may do so for some
   * seconds.
   */
  readonly noStartSince: number | null;
  /** When the command was first asked to end, before the removal. */
  readonly terminatedAt?: number | undefined;
  /** When the cluster accepted the removal of this run. */
  readonly removedAt: number | null;
  /**
   * Tombstones keep workers from starting this run again. Absent if the cluster left none, or an older version removed
   * the run.
   */
  readonly startsRefused?: true | undefined;
  /**
   * Number of the latest run whose capacity was given back: it was seen gone when no worker could start it any more.
   */
  readonly released?: number | undefined;
  /** Latest look that did not see this run, before it is known to be gone. */
  readonly missedAt: number | null;
  /** Set if the latest look that saw this run saw it being deleted, which cannot be undone. */
  readonly going?: true | undefined;
  /** The machines to which the run is or was bound; before that, those of its grant if all exist. */
  readonly machines: readonly Machine[];
  /** When this run's compute was made. If it is missing later, it is lost and must not be made again. */
  readonly appliedAt: number | null;
  /** When this run was first ready, if it then waited for Jupyter. */
  readonly readyAt?: number | undefined;
  /** Whether the grant is being withdrawn because the run was not bound in time. */
  readonly withdrawing: boolean;
  /** Set if the reason is a missing volume, for which no machine is to blame. */
  readonly lacksVolume?: true | undefined;
  /** Set if the reason is a temporary refusal by the cluster. */
  readonly refusedForNow?: true | undefined;
  /** The run's mark in listings (observation-digest.ts) as of the last look that found nothing to do. */
  readonly mark?: string | undefined;
  readonly address: RunAddress | null;
  readonly ports: readonly PortStatus[];
  readonly isolation: string | null;
  readonly limits: string | null;
}

/** The fields of a run whose making has not begun. */
export const noRun = {
  applyingAt: null,
  appliedAt: null,
  noStartSince: null,
  terminatedAt: undefined,
  removedAt: null,
  startsRefused: undefined,
  released: undefined,
  missedAt: null,
  going: undefined,
  readyAt: undefined,
  withdrawing: false,
  lacksVolume: undefined,
  refusedForNow: undefined,
  mark: undefined,
} as const;
