import type { PortStatus, Resources, RunAddress, Share } from "../../../ports/compute.ts";
import type { Machine } from "./machine.ts";

/** Its present run: from the moment it was asked for until it is stopped, ended or asked for again. */
export interface RunState {
  readonly n: number;
  /** What its latest run was given. */
  readonly resized: Resources | null;
  /** How often the limits that are wanted now were refused, and when they are tried again. */
  readonly resizing?: { readonly tries: number; readonly nextAt: number } | undefined;
  /** Why its latest run ended by itself, where it may be started again (docs/apis/common.md#phases-and-words). */
  readonly error: string | null;
  readonly preparingAt: number | null;
  readonly startedAt: number | null;
  /**
   * When, in a later run, the cluster is looked at for something of an earlier one
   * (docs/architecture/consistency.md#paused-workers).
   */
  readonly leftoversAt: number | null;
  /** The capacity it took, from preparing until its compute was seen gone. */
  readonly grant: { readonly id: string; readonly shares: readonly Share[]; readonly at: number } | null;
  /** Written before the first call that can start this run: while it is null there is nothing of it anywhere. */
  readonly applyingAt: number | null;
  /** The first look after which nobody starts this run: who read its record before may do so for some seconds more. */
  readonly noStartSince: number | null;
  /** When its command was first asked to end, before the removal. */
  readonly terminatedAt?: number | undefined;
  /** When the cluster accepted that this run goes. */
  readonly removedAt: number | null;
  /** Tombstones keep workers from starting this run again. Absent: the cluster left none, or an older version removed it. */
  readonly startsRefused?: true | undefined;
  /** The number of the latest run whose capacity was given back: it was seen gone when nobody could start it any more. */
  readonly released?: number | undefined;
  /** When the latest look did not see this run, of which nobody knows yet that it is gone. */
  readonly missedAt: number | null;
  /** The latest look that saw this run saw it being deleted, which cannot be undone. */
  readonly going?: true | undefined;
  /** What its run is bound to, also once it is gone; until it is, those of its grant where all are there. */
  readonly machines: readonly Machine[];
  /** When this run's compute was made: if it is missing now, it is lost and not to be made again. */
  readonly appliedAt: number | null;
  /** When this run was first seen ready, where it then waited for Jupyter. */
  readonly readyAt?: number | undefined;
  /** The grant of this run is being given back because nothing bound it in time. */
  readonly withdrawing: boolean;
  /** It is given back because the run has no volume, which is no machine's fault. */
  readonly lacksVolume?: true | undefined;
  /** It is given back because the cluster takes no such run now, which passes. */
  readonly refusedForNow?: true | undefined;
  /** What listings say of this run (run-marks.ts) while it is as a look saw it that had nothing left to do. */
  readonly mark?: string | undefined;
  readonly address: RunAddress | null;
  readonly ports: readonly PortStatus[];
  readonly isolation: string | null;
  readonly limits: string | null;
}

/** What the record of an environment says of a run that nobody has begun to make. */
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
