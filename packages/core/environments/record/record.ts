import type { VolumeMaking } from "../../making.ts";
import type { NodeRef, PortStatus, Resources, RunAddress, RunPort, Share } from "../../ports/compute.ts";
import type { Key, Stored } from "../../ports/table.ts";
import type { VolumeRef } from "../../ports/volumes.ts";
import type { Sealed } from "../../sealed.ts";
import type { AccessState } from "./access.ts";
import type { Action } from "./actions.ts";
import type { GpuUse, RecordedIdle } from "./idle.ts";
import type { KeptLog } from "./kept-log.ts";
import type { Machine } from "./machine.ts";
import type { Policy } from "./policy.ts";
import type { TimelineEntry } from "./timeline.ts";
import { type Standing, waitOrderOf } from "./wait-order.ts";

/** The words a life ends with. */
export const endPhases = ["completed", "expired", "cancelled", "failed", "deleted"] as const;
export type EndPhase = (typeof endPhases)[number];

export const phases = ["queued", "preparing", "active", "stopping", "stopped", ...endPhases] as const;
/** Every table of them is a `Record<Phase, …>`: one that lacks a phase does not compile. */
export type Phase = (typeof phases)[number];

/** Where preparing is; before `image` no pod is bound to a machine. */
export type PreparingStep = "disk" | "pod" | "image" | "container" | "probe";

export interface Size {
  readonly pool: string;
  readonly instanceType: string;
  readonly machines: number;
  /** What it takes of each machine, in units of the pool: GPUs, or 1 for a CPU machine. */
  readonly units: number;
  /** GPUs in all; 0 on CPU machines. */
  readonly gpus: number;
  /** How long it is wanted in all, in ms; extensions grow it. */
  readonly wantedMs: number;
}

/** The named disk of an environment. */
export interface DiskUse {
  readonly uid: string;
  /** What it was called when the environment was made. */
  readonly name: string;
  /** The submit itself wrote the lease and then this: nobody who read the disk before can call it lost any more. */
  readonly leased: boolean;
  /** Set before a run is made with its volume: from then on its end is backed up. */
  readonly attached: boolean;
  /** The lease was given back. */
  readonly released: boolean;
  /** A run that was given back before this one may have written to it: its end is backed up whatever this one does. */
  readonly written?: true | undefined;
}

/** Whether a run of it may have written to its disk, which is let go only with a backup of that. */
export function mayHaveWritten(use: DiskUse): boolean {
  return use.attached || use.written === true;
}

/** A volume of an environment's own: it lives until the environment is deleted. */
export interface OwnVolume {
  /** Unique in its environment: `workspace`, `home`. */
  readonly name: string;
  /** Where it is seen: `/workspace`. */
  readonly path: string;
  readonly sizeGb: number;
  readonly volume: VolumeRef | null;
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

export interface RememberedStart {
  readonly size: Size | null;
  readonly receiver: Sealed | null;
}

export interface Outcome {
  readonly phase: EndPhase;
  readonly reason: string | null;
  readonly at: number;
  /** Decided by a deadline: a run that is found to have ended by itself before that ends in its own way. */
  readonly isLimit?: true | undefined;
}

/** What its owner wants of it. */
export interface Goal {
  readonly desired: "active" | "stopped" | "deleted";
  /** What a start that came while it was being stopped wants, taken when it is stopped. */
  readonly start: RememberedStart | null;
  /** The token of the latest start, where its request may be repeated. */
  readonly startedBy?: string | undefined;
  /** The token of the latest stop whose request may be repeated. */
  readonly stoppedBy?: string | undefined;
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
  /** Since when nothing of it was seen in the cluster, and how many looks said so (docs/architecture.md#claims). */
  readonly cleanSince: number | null;
  readonly cleanLooks: number;
}

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
  /** When, in a later run, the cluster is looked at for something of an earlier one (docs/architecture.md#claims). */
  readonly straysAt: number | null;
  /** The capacity it took, from preparing until its compute was seen gone. */
  readonly grant: { readonly id: string; readonly shares: readonly Share[]; readonly at: number } | null;
  /** Written before the first call that can start this run: while it is null there is nothing of it anywhere. */
  readonly applyingAt: number | null;
  /** The first look after which nobody starts this run: who read its record before may do so for some seconds more. */
  readonly noStartSince: number | null;
  /** When the cluster accepted that this run goes. */
  readonly removedAt: number | null;
  /** The number of the latest run whose capacity was given back: it was seen gone when nobody could start it any more. */
  readonly released?: number | undefined;
  /** When the latest look did not see this run, of which nobody knows yet that it is gone. */
  readonly missedAt: number | null;
  /** What its run is bound to, also once it is gone; until it is, those of its grant where all are there. */
  readonly machines: readonly Machine[];
  /** When this run's compute was made: if it is missing now, it is lost and not to be made again. */
  readonly appliedAt: number | null;
  /** The grant of this run is being given back because nothing bound it in time. */
  readonly withdrawing: boolean;
  /** What listings say of this run (run-marks.ts) while it is as a look saw it that had nothing left to do. */
  readonly mark?: string | undefined;
  readonly address: RunAddress | null;
  readonly ports: readonly PortStatus[];
  readonly isolation: string | null;
  readonly limits: string | null;
}

/** Moments of its whole life. */
export interface Times {
  readonly firstActiveAt: number | null;
  readonly endsAt: number | null;
  /** The smallest warning given for the present end, in minutes before it. */
  readonly warnedMinutes: number | null;
}

/** Its timeline, which is also the outbox of its events. */
export interface Events {
  /** Where its events go, sealed with `receiverContext`; `run`: for the present run instead. */
  readonly receiver: { readonly always: Sealed | null; readonly run: Sealed | null };
  readonly timeline: readonly TimelineEntry[];
  readonly count: number;
  /** Timeline entries up to this number have reached every receiver. */
  readonly emitted: number;
}

/** Signs of somebody at work. */
export interface Use {
  /** The latest sign of use that was told, ms; moved only by more than 60 s. */
  readonly lastUsedAt: number | null;
  /** An exec or a shell may run until then, ms. */
  readonly busyUntil: number | null;
  /** What was last decided about its idleness, and by which signal. */
  readonly idle: RecordedIdle | null;
  /** The use of its GPUs in its present run, where the deployment ends what leaves them idle. */
  readonly gpus?: GpuUse | undefined;
}

/** What became of grants that nothing could start with. */
export interface Placement {
  /** The latest grant that was given back, so that its nodes can be set aside. */
  readonly withdrawn: { readonly run: number; readonly nodes: readonly string[]; readonly at: number } | null;
  /** How many grants were given back and nothing else was the cause (uncounted-try.ts); the third fails the environment. */
  readonly withdrawals: number;
  /** How many of the others the cluster said nothing of; absent: none. */
  readonly unseen?: number | undefined;
  /** The ledger items in which it was granted capacity, in a message: until they let it go it is not done. */
  readonly ledgers: readonly string[];
}

/** What was asked of it, the newest 20. */
export interface Requests {
  readonly list: readonly Action[];
  /** The number of the newest request on it; its creation is 1. */
  readonly count: number;
}

/**
 * The head of an environment: one item, small, written at every step (docs/architecture.md#the-table). Times are ms.
 */
export interface Environment extends Stored {
  readonly kind: "environment";
  readonly uid: string;
  readonly owner: string;
  /** What its dialect calls it; unique per owner and dialect only. */
  readonly id: string;
  readonly createdBy: string;
  readonly name: string;
  /** What a dialect wants to show again; the core never reads it. */
  readonly labels: Readonly<Record<string, string>>;
  readonly goal: Goal;
  readonly end: End;
  readonly phase: Phase;
  readonly step: PreparingStep | null;
  readonly reason: string | null;
  readonly run: RunState;
  readonly size: Size;
  /** The zone its disk pins it to. */
  readonly zone: string | null;
  readonly hasCommand: boolean;
  /** Which specification its runs are made by (keys.ts, `specKey`); null: it was removed, a start brings a new one. */
  readonly spec: string | null;
  readonly policy: Policy;
  readonly ports: readonly RunPort[];
  readonly resources: Resources | null;
  readonly disk: DiskUse | null;
  readonly volumes: readonly OwnVolume[];
  /** Volumes of its own that may exist without standing above: each is listed before it is made. */
  readonly making: readonly VolumeMaking[];
  /** Its part of a host name, claimed for it (docs/apis/common.md#ids-and-times). */
  readonly addressLabel: string | null;
  /** How often it was started again; 0: it is in its first life. */
  readonly starts: number;
  readonly times: Times;
  readonly events: Events;
  readonly use: Use;
  readonly createdAt: number;
  /** When its present run was asked for. */
  readonly queuedAt: number;
  readonly placement: Placement;
  readonly access: AccessState;
  readonly requests: Requests;
  readonly log?: KeptLog | undefined;
  /** Until then somebody reads its log, ms. */
  readonly logWantedUntil?: number | undefined;
  /** Looks since the last change. */
  readonly looks: number;
  readonly attempts: number;
  readonly fault: string | null;
  readonly dueShard: string;
  readonly dueAt?: number | undefined;
  readonly waitPool?: string | undefined;
  readonly waitOrder?: string | undefined;
  /** Seconds since the epoch. */
  readonly ttl?: number | undefined;
}

/** What is to be run: written once, before the head. */
export interface EnvironmentSpec extends Stored {
  readonly kind: "spec";
  readonly uid: string;
  readonly image: string;
  /** JSON of `{ command, env }`, sealed with the item's own key. */
  readonly sealed: Sealed;
  /**
   * The key of the head that shall name it, in a message; absent, with what follows, in those from before it was noted.
   */
  readonly head?: string | undefined;
  readonly dueShard?: string | undefined;
  /** When it is removed unless a head names it; absent once one was seen to. */
  readonly dueAt?: number | undefined;
}

export function isEnded({ phase }: Pick<Environment, "phase">): boolean {
  return endPhases.some((end) => end === phase);
}

/** Deleted, or about to be without having run: it lost its disk to another, or was deleted while it waited. */
export function isUndone({ phase, end: { outcome } }: Pick<Environment, "phase" | "end">): boolean {
  return phase === "deleted" || (phase === "queued" && outcome?.phase === "deleted");
}

/** Waits for capacity and may still take a grant. One whose disk is not ready stands in no line. */
export function isWaiting(environment: Environment): boolean {
  const {
    phase,
    goal: { desired },
    end: { outcome },
    waitPool,
  } = environment;
  return phase === "queued" && desired === "active" && outcome === null && waitPool !== undefined;
}

/** Whether this run of it occupies what it was granted. The record decides this, never the ledger or an index. */
export function holdsCapacity(environment: Environment, run: number): boolean {
  return environment.run.n === run && environment.run.grant !== null;
}

/** The fields that put a record into the `waiting` index. */
export function waitingFields(environment: Pick<Environment, "size" | keyof Standing>): {
  waitPool: string;
  waitOrder: string;
} {
  return { waitPool: environment.size.pool, waitOrder: waitOrderOf(environment) };
}

/** What the record of an environment says of a run that nobody has begun to make. */
export const noRun = {
  applyingAt: null,
  appliedAt: null,
  noStartSince: null,
  removedAt: null,
  released: undefined,
  missedAt: null,
  withdrawing: false,
  mark: undefined,
} as const;

/** The key of an environment's record, apart from the rest of it. */
export function keyOf({ pk, sk }: Key): Key {
  return { pk, sk };
}
