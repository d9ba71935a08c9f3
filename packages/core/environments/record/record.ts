import type { Resources, RunPort } from "../../ports/compute.ts";
import type { Key, Stored } from "../../ports/table.ts";
import type { VolumeMaking } from "../../reconciler/making.ts";
import type { Sealed } from "../../store/sealed.ts";
import type { AccessState } from "./changes/access.ts";
import type { Action } from "./changes/actions.ts";
import type { GpuUse, RecordedIdle } from "./changes/idle.ts";
import type { DiskUse, OwnVolume } from "./disk/disk-use.ts";
import type { End } from "./end.ts";
import type { KeptLog } from "./log/kept-log.ts";
import { endPhases, type Phase, type PreparingStep } from "./phases.ts";
import type { Policy } from "./policy.ts";
import type { RunState } from "./run/run-state.ts";
import type { Unseen } from "./run/unseen.ts";
import type { TimelineEntry } from "./timeline.ts";
import { type Standing, waitOrderOf } from "./wait-order.ts";

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

export interface RememberedStart {
  readonly size: Size | null;
  readonly receiver: Sealed | null;
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

/** The parts of a specification that are no secret. */
export interface About {
  readonly image: string;
  /** Names of environment variables, without their values. At most 4,096 characters in all. */
  readonly envNames: readonly string[];
}

/** Moments of its whole life. */
export interface Times {
  readonly firstActiveAt: number | null;
  readonly endsAt: number | null;
  /** When the present end was set, by the start of the run or an extension. */
  readonly endSetAt?: number | undefined;
  /** The latest warning that was given, in minutes before the end. */
  readonly warnedMinutes: number | null;
  /** The end that this warning named; absent in records of earlier code: the present one. */
  readonly warnedOf?: number | undefined;
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
  /** How often in a row the cluster took its run no more for now, and until when it stays out of the line. */
  readonly refusals?: { readonly count: number; readonly until: number } | undefined;
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
 * The head of an environment: one item, small, written at every step (docs/architecture/table.md). Times are ms.
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
  /** What of its specification may be shown, also once that is removed. Absent in records of earlier code. */
  readonly about?: About | undefined;
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
  /** Time in which no look could tell how far its runs were; absent: none. */
  readonly unseen?: Unseen | undefined;
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

/** The key of an environment's record, apart from the rest of it. */
export function keyOf({ pk, sk }: Key): Key {
  return { pk, sk };
}
