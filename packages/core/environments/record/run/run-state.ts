import type { InterruptionKind, PoolPart, PortStatus, Resources, RunAddress, Share } from "../../../ports/compute.ts";
import type { Lack } from "../../../ports/machine-groups.ts";
import type { Machine } from "./machine.ts";

export interface RunGrant {
  readonly id: string;
  readonly shares: readonly Share[];
  readonly at: number;
  /** The start-up time of the new machine that it waits for. */
  readonly startupMs?: number | undefined;
  /** The parts in which that machine must not be: they were drained when the run took its grant. */
  readonly avoids?: readonly PoolPart[] | undefined;
}

/** The most certain notice that a provider takes a machine of the run back. */
export interface RunInterruption {
  readonly kind: InterruptionKind;
  /** The name of the machine. */
  readonly node: string;
  /** When the machine is taken back, ms. Absent if unknown. */
  readonly endsAt?: number | undefined;
}

export interface RunState {
  readonly n: number;
  readonly resized: Resources | null;
  readonly resizing?: { readonly tries: number; readonly nextAt: number } | undefined;
  /** Why the latest run ended by itself, if it can be started again (docs/apis/common.md#phases-and-words). */
  readonly error: string | null;
  readonly preparingAt: number | null;
  readonly startedAt: number | null;
  /** Next search for leftovers of earlier runs (docs/architecture/consistency.md#paused-workers). */
  readonly leftoversAt: number | null;
  /** The capacity it holds, from preparing until its compute is gone. */
  readonly grant: RunGrant | null;
  /** Written before the first call that can start this run. While it is null, the run has no objects anywhere. */
  readonly applyingAt: number | null;
  /** First reconcile after which no new worker starts this run. Earlier readers may for some seconds. */
  readonly noStartSince: number | null;
  readonly terminatedAt?: number | undefined;
  readonly removedAt: number | null;
  /** Tombstones keep workers from starting this run again. Absent if the cluster left none. */
  readonly startsRefused?: true | undefined;
  /** Latest run whose capacity was given back, after it was seen gone for good. */
  readonly released?: number | undefined;
  readonly missedAt: number | null;
  /** Set if the latest reconcile that saw this run saw it being deleted, which cannot be undone. */
  readonly going?: true | undefined;
  /** The machines to which the run is or was bound; before that, those of its grant if all exist. */
  readonly machines: readonly Machine[];
  /** When this run's compute was made. If it is missing later, it is lost and must not be made again. */
  readonly appliedAt: number | null;
  /** When this run was first ready, if it then waited for Jupyter. */
  readonly readyAt?: number | undefined;
  /** When the new machine that this run waited for had come. Absent if it waited for none. */
  readonly machineAt?: number | undefined;
  readonly withdrawing: boolean;
  readonly lacksVolume?: true | undefined;
  readonly refusedForNow?: true | undefined;
  /** What the provider lacked to create its machine, so that the grant was withdrawn at once. */
  readonly lacks?: Lack | undefined;
  /** The machine of the grant that refused it, so that the grant was withdrawn at once. */
  readonly refusedByNode?: string | undefined;
  /** Set if its machine has refused it for good, so that the grant was withdrawn at once. */
  readonly isRejected?: true | undefined;
  /** Set once its owner was told that its machine is taken back. */
  readonly interruption?: RunInterruption | undefined;
  /** The run's mark in listings (observation-digest.ts) as of the last reconcile that found nothing to do. */
  readonly mark?: string | undefined;
  readonly address: RunAddress | null;
  readonly ports: readonly PortStatus[];
  readonly isolation: string | null;
  readonly limits: string | null;
}

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
  machineAt: undefined,
  withdrawing: false,
  lacksVolume: undefined,
  refusedForNow: undefined,
  lacks: undefined,
  refusedByNode: undefined,
  isRejected: undefined,
  interruption: undefined,
  mark: undefined,
} as const;
