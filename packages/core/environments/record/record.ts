import type { Resources, RunPort } from "../../ports/compute.ts";
import type { Lack } from "../../ports/machine-groups.ts";
import type { Key, Stored } from "../../ports/table.ts";
import type { PendingVolume } from "../../reconciler/pending-creates.ts";
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
import { formatWaitOrder, type Standing } from "./wait-order.ts";

export interface Size {
  readonly pool: string;
  readonly instanceType: string;
  readonly machines: number;
  /** Units of the pool per machine: GPUs, or 1 on a CPU machine. */
  readonly units: number;
  readonly gpus: number;
  /** Wanted time in ms, including extensions. */
  readonly wantedMs: number;
}

export interface QueuedStart {
  readonly size: Size | null;
  readonly receiver: Sealed | null;
}

export interface DesiredState {
  readonly desired: "active" | "stopped" | "deleted";
  /** A start requested while stopping; it takes effect once stopped. */
  readonly start: QueuedStart | null;
  readonly startedBy?: string | undefined;
  readonly stoppedBy?: string | undefined;
}

export interface About {
  readonly image: string;
  /** Names of environment variables, without their values. At most 4,096 characters in all. */
  readonly envNames: readonly string[];
}

export interface Times {
  readonly firstActiveAt: number | null;
  readonly endsAt: number | null;
  /** When the present end was set, by the start of the run or an extension. */
  readonly endSetAt?: number | undefined;
  /** The latest warning, in minutes before the end. */
  readonly warnedMinutes: number | null;
  /** The end that this warning named; absent in records of earlier versions, where it is the present one. */
  readonly warnedOf?: number | undefined;
  /** For how long earlier runs were active, ms. Absent: there were none. */
  readonly earlierMs?: number | undefined;
}

export interface Events {
  /** Receivers of events, sealed with `receiverContext`; `run` overrides `always` for the present run. */
  readonly receiver: { readonly always: Sealed | null; readonly run: Sealed | null };
  readonly timeline: readonly TimelineEntry[];
  readonly count: number;
  /** Timeline entries up to this number have become deliveries. */
  readonly emitted: number;
}

export interface Use {
  /** Latest reported use, ms. Moves only by more than 60 s. */
  readonly lastUsedAt: number | null;
  readonly busyUntil: number | null;
  readonly idle: RecordedIdle | null;
  readonly gpus?: GpuUse | undefined;
}

/** The latest grant that led to no start. */
export interface Withdrawn {
  readonly run: number;
  /** Machines to set aside. */
  readonly nodes: readonly string[];
  readonly at: number;
  /** These machines said themselves that they accept no runs, so they are set aside for a minute only. */
  readonly saidSo?: true | undefined;
  /** The machine that it waited for did not come. */
  readonly lacksMachine?: true | undefined;
  /** Why the provider could not create that machine. Absent if unknown. */
  readonly lacks?: Lack | undefined;
  /** The zone in which that machine had to come. Absent: any. */
  readonly zone?: string | undefined;
}

/** The history of grants that led to no start. */
export interface Placement {
  readonly withdrawn: Withdrawn | null;
  /** Grants withdrawn without another cause (revocation-cause.ts). The third fails the environment. */
  readonly withdrawals: number;
  /** Other withdrawn grants about which the cluster reported nothing; absent: none. */
  readonly unseen?: number | undefined;
  /** Consecutive temporary refusals by the cluster, and when the environment waits in line again. */
  readonly refusals?: { readonly count: number; readonly until: number } | undefined;
  /** By how much its wanted time was shortened, ms, to end before machines close (fit-closing.ts), and when they do. */
  readonly shortened?: { readonly ms: number; readonly until: number } | undefined;
  /** Ledger items that granted it capacity, as key texts. It is done only after all have released it. */
  readonly ledgers: readonly string[];
}

export interface Requests {
  readonly list: readonly Action[];
  /** Number of the newest request; the create is 1. */
  readonly count: number;
}

/** The head of an environment: one small item, written at every step (docs/architecture/table.md). Times are ms. */
export interface Environment extends Stored {
  readonly kind: "environment";
  readonly uid: string;
  readonly owner: string;
  readonly id: string;
  readonly createdBy: string;
  readonly name: string;
  /** Values that a dialect stores for its own use; the core never reads them. */
  readonly labels: Readonly<Record<string, string>>;
  readonly goal: DesiredState;
  readonly end: End;
  readonly phase: Phase;
  readonly step: PreparingStep | null;
  readonly reason: string | null;
  readonly run: RunState;
  readonly size: Size;
  readonly zone: string | null;
  readonly hasCommand: boolean;
  /** Public parts of the specification, kept after its removal. Absent in records of earlier versions. */
  readonly about?: About | undefined;
  /** The specification of its runs (keys.ts, `specKey`); null after its removal, until a start brings a new one. */
  readonly spec: string | null;
  readonly policy: Policy;
  readonly ports: readonly RunPort[];
  readonly resources: Resources | null;
  readonly disk: DiskUse | null;
  readonly volumes: readonly OwnVolume[];
  /** Own volumes that may exist but are not in `volumes` yet: each is listed here before it is made. */
  readonly making: readonly PendingVolume[];
  readonly addressLabel: string | null;
  readonly starts: number;
  readonly times: Times;
  readonly events: Events;
  readonly use: Use;
  readonly createdAt: number;
  readonly queuedAt: number;
  readonly placement: Placement;
  readonly access: AccessState;
  readonly requests: Requests;
  readonly log?: KeptLog | undefined;
  readonly logWantedUntil?: number | undefined;
  readonly unseen?: Unseen | undefined;
  readonly looks: number;
  readonly attempts: number;
  readonly fault: string | null;
  readonly dueShard: string;
  readonly dueAt?: number | undefined;
  readonly waitPool?: string | undefined;
  readonly waitOrder?: string | undefined;
  readonly ttl?: number | undefined;
}

export interface EnvironmentSpec extends Stored {
  readonly kind: "spec";
  readonly uid: string;
  readonly image: string;
  /** JSON of `{ command, env }`, sealed with the item's own key. */
  readonly sealed: Sealed;
  /** Key text of the head that shall name it. Absent, like the following fields, in records of earlier versions. */
  readonly head?: string | undefined;
  readonly dueShard?: string | undefined;
  /** Time of the check that removes it unless a head names it; absent after a successful check. */
  readonly dueAt?: number | undefined;
}

export function isEnded({ phase }: Pick<Environment, "phase">): boolean {
  return endPhases.some((end) => end === phase);
}

/** Reports whether it is deleted, or will be without having run: it lost its disk, or was deleted while queued. */
export function isUndone({ phase, end: { outcome } }: Pick<Environment, "phase" | "end">): boolean {
  return phase === "deleted" || (phase === "queued" && outcome?.phase === "deleted");
}

/** Reports whether it may take a grant. An environment whose disk is not ready is in no line. */
export function isWaiting(environment: Environment): boolean {
  const {
    phase,
    goal: { desired },
    end: { outcome },
    waitPool,
  } = environment;
  return phase === "queued" && desired === "active" && outcome === null && waitPool !== undefined;
}

/** Reports whether this run occupies its grant. The record decides this, never the ledger or an index. */
export function holdsCapacity(environment: Environment, run: number): boolean {
  return environment.run.n === run && environment.run.grant !== null;
}

export function waitingFields(environment: Pick<Environment, "size" | keyof Standing>): {
  waitPool: string;
  waitOrder: string;
} {
  return { waitPool: environment.size.pool, waitOrder: formatWaitOrder(environment) };
}

export function toKey({ pk, sk }: Key): Key {
  return { pk, sk };
}
