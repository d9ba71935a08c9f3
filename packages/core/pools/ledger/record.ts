import type { Context } from "../../context.ts";
import type { Environment, Size } from "../../environments/record/record.ts";
import type { NodeRef, PoolPart, Share, Unready } from "../../ports/compute.ts";
import type { Lack } from "../../ports/machine-groups.ts";
import type { Item, Key, Stored } from "../../ports/table.ts";
import type { NodeGroup } from "../../settings.ts";
import { getDueShard } from "../../store/due.ts";
import { poolKey } from "../../store/keys.ts";
import type { Interruption } from "../capacity/interruption.ts";
import { addParts, isWholeType, type PlannedPart } from "../capacity/pool-parts.ts";
import type { Closure } from "../plan/plan.ts";
import { parsePool } from "./parse.ts";
import type { Tally } from "./run-outcomes.ts";
import { isBehind, isNewcomer, type Round, type ScanWindow } from "./waiting-list.ts";

export interface PoolNode extends NodeRef {
  readonly zone: string;
  /** The managed node group that created the machine. Absent without a group, and in items of earlier versions. */
  readonly group?: string | undefined;
  readonly ready: boolean;
  /** Why it is not ready. Absent if unknown, and in items of earlier versions. */
  readonly unready?: Unready | undefined;
  /** The fault that the machine itself reports, shown to operators. */
  readonly fault?: string | undefined;
  /** Set while its provider takes it back. It is granted to no run then. */
  readonly interruption?: Interruption | undefined;
  readonly units: number;
  readonly foreignUnits: number;
  /** Units of our runs that the cluster listed there and that its ledger item does not name. */
  readonly leftoverUnits: number;
  /**
   * Set if its node object is gone but an environment still holds units, or if the operator declared it gone. Such a
   * machine counts for nothing else.
   */
  readonly gone?: true;
  /** When the operator declared it gone. */
  readonly saidAt?: number | undefined;
}

/** The ledger entry of a grant that its run has not taken yet. */
export interface Entry {
  readonly key: string;
  readonly uid: string;
  readonly run: number;
  /** The id of the grant. Two planners may grant the same run, which takes only one of them. */
  readonly grant: string;
  readonly owner: string;
  /** Per machine. */
  readonly units: number;
  /** The number of machines. If more than one, `items` names the ledger item of each, by rank. */
  readonly machines: number;
  readonly items?: readonly string[] | undefined;
  /** The zone in which its machines still to be created must be. Absent: any. */
  readonly zone?: string | undefined;
  /** The node group that must create these machines. Absent: any group. Items of earlier versions lack it. */
  readonly group?: string | undefined;
  readonly wantedMs: number;
  readonly at: number;
  /** Since when its record cannot be read, ms. The entry stays unchanged until it is readable. */
  readonly unreadableSince?: number | undefined;
}

/** The ledger entry of a grant that its run has taken, with the last state of its record. */
export interface HeldEntry extends Entry {
  readonly phase: "preparing" | "active" | "stopping";
  readonly endsAt: number | null;
}

/** The entries of a ledger item. They alone decide who has capacity. */
interface LedgerEntries extends Stored {
  /** Pool. */
  readonly type: string;
  readonly granted: readonly Entry[];
  readonly held: readonly HeldEntry[];
}

/** The ledger item of one machine, keyed by its name and the uid of its node object. */
export interface NodeLedger extends LedgerEntries, PoolNode {
  readonly kind: "node";
  /** When the pool first saw it, ms. */
  readonly since: number;
  /** Nothing is granted there until this time, because a run could not start on it. */
  readonly asideUntil?: number | undefined;
  /** Marks of images that runs had there (machine-images.ts), so that a plan prefers the machine for them. */
  readonly images?: readonly string[] | undefined;
}

/** The ledger item of the machines that a pool's group has still to create. */
export interface MakeableLedger extends LedgerEntries {
  readonly kind: "makeable";
  /** Absent if the provider knows none, or if NODE_GROUPS names one. */
  readonly group?: PoolGroup | undefined;
  /** Set while no new machine comes in any zone. */
  readonly shortage?: Shortage | undefined;
  /** The zones in which no new machine comes for jobs that must be there. */
  readonly zoneShortages?: Readonly<Record<string, Shortage>> | undefined;
  /** How long the newest machines took from their grant until they had come. Absent before the first. */
  readonly startupSeconds?: readonly number[] | undefined;
  /** The same by node group, the last changed group last. */
  readonly groupStartupSeconds?: Readonly<Record<string, readonly number[]>> | undefined;
}

/** The machines that the provider's groups may create for a pool. */
export interface PoolGroup extends Omit<NodeGroup, "pool"> {
  /** The groups behind the sum. Absent in items of earlier versions. */
  readonly members?: readonly GroupGrowth[] | undefined;
  /** What all of these groups lack to create one now. */
  readonly lacks?: Lack | undefined;
  /** What the groups lack in zones where none of them can create one, if others can elsewhere. */
  readonly zoneLacks?: Readonly<Record<string, Lack>> | undefined;
}

/** A group of the provider that may still grow. */
export interface GroupGrowth {
  readonly name: string;
  /** How many machines it may create beyond those listed. 0 if it lacks something that other groups have. */
  readonly nodes: number;
  /** How many machines of the pool it may have, also if it lacks something. Absent in items of earlier versions. */
  readonly mostNodes?: number | undefined;
  readonly zones: readonly string[];
  /** Runs may name the group (`isSelectable` of `MachineGroup`). */
  readonly isSelectable?: true | undefined;
  /** When it may create machines, ms, as for a Capacity Block. Absent if it might already when it was listed. */
  readonly startsAt?: number | undefined;
}

/** The tries of a pool's group that brought no machine. The next machine there ends the shortage. Times are ms. */
export interface Shortage {
  readonly count: number;
  readonly failedAt: number;
  /** No machine is granted before it exists until then. */
  readonly until: number;
  /** Why the provider created no machine in the latest try. Absent if unknown. */
  readonly lacks?: Lack | undefined;
  /** Set once the provider reports the lack in another zone of the group instead of this one. */
  readonly hasMoved?: true | undefined;
}

export type LedgerItem = NodeLedger | MakeableLedger;

/** Capacity granted to a run that has not taken it yet, combined from its ledger items. */
export interface Grant {
  readonly id: string;
  readonly key: string;
  readonly uid: string;
  readonly run: number;
  readonly owner: string;
  readonly size: Size;
  readonly shares: readonly Share[];
  readonly items: readonly string[];
  readonly at: number;
  readonly unreadableSince?: number | undefined;
}

/** Capacity that a run has taken, with the last state of its record. */
export interface Holding extends Grant {
  readonly phase: "preparing" | "active" | "stopping";
  readonly endsAt: number | null;
}

/** The data behind availability and status. Units are GPUs, or machines in a CPU pool. */
export interface PoolSummary {
  readonly total: number;
  readonly free: number;
  /** See `Plan`. Absent in items of earlier versions. */
  readonly mostFree?: readonly number[] | undefined;
  /** Machines that its node group may still create. Absent in items of earlier versions. */
  readonly makeable?: number | undefined;
  /** Set if the provider's groups create its machines. */
  readonly grows?: true | undefined;
  readonly inUse: number;
  readonly waiting: number;
  readonly waitingUnits: number;
  readonly granted: number;
  readonly preparing: number;
  readonly active: number;
  readonly stopping: number;
  /** Units granted to or held by records that cannot be read. */
  readonly unreadable: number;
  readonly unreadableItems: number;
  readonly plannedAt: number;
}

/** The head of a pool: the result of the last plan. It does not decide who has capacity; the ledger items do. */
export interface Pool extends Stored {
  readonly kind: "pool";
  readonly type: string;
  readonly seen: readonly string[];
  /** Ledger items of the grants not yet taken, by uid. Environments that received no message find them here. */
  readonly offered: Readonly<Record<string, readonly string[]>>;
  readonly reach: ScanWindow;
  readonly round?: Round | undefined;
  /** The environment with a reserved start, until it is granted. `key` as in a grant. */
  readonly head: Pick<Grant, "uid" | "key"> | null;
  readonly summary: PoolSummary;
  /** How far holdings were compared with their records in turn: the last ledger item, and when. */
  readonly compared: { readonly item: string | null; readonly at: number };
  /** When the plan was last stored as advice, and the first digits of the items written. */
  readonly advisedAt: number;
  readonly advised: string;
  readonly plans: number;
  readonly closed: Closure | null;
  /** The parts that operators drained. Absent if there are none. */
  readonly drained?: readonly PoolPart[] | undefined;
  /** The parts that are drained at a time. One that has come is in `drained` too, see `poolParser`. */
  readonly plannedDrains?: readonly PlannedPart[] | undefined;
  /** When it was last reopened. Absent if it was never closed. */
  readonly openedAt?: number | undefined;
  /** Absent until a job started or ended. */
  readonly tally?: Tally | undefined;
  readonly dueShard: string;
  readonly dueAt?: number | undefined;
}

export interface Ledger {
  readonly pool: Pool;
  readonly type: string;
  readonly nodes: readonly NodeLedger[];
  readonly makeable: MakeableLedger;
  readonly granted: readonly Grant[];
  readonly held: readonly Holding[];
  /** Keys of unreadable ledger items. Nothing is granted there. */
  readonly unreadable: ReadonlySet<string>;
  /** Keys of ledger items whose entries contradict each other. The next write repairs them. */
  readonly torn: ReadonlySet<string>;
}

/** Returns a new pool. It has no writers, so the first write succeeds only if the pool is absent. */
export function emptyPool(ctx: Context, type: string): Pool {
  const key = poolKey(type);
  const inUse = { inUse: 0, granted: 0, preparing: 0, active: 0, stopping: 0, unreadable: 0, unreadableItems: 0 };
  const summary = { total: 0, free: 0, ...inUse, waiting: 0, waitingUnits: 0, plannedAt: 0 };
  return {
    ...key,
    writers: [],
    kind: "pool",
    type,
    seen: [],
    offered: {},
    reach: { begin: null, last: null, cut: {} },
    head: null,
    summary,
    compared: { item: null, at: 0 },
    advisedAt: 0,
    advised: "",
    plans: 0,
    closed: null,
    dueShard: getDueShard(ctx.ids, key),
    dueAt: ctx.clock.now(),
  };
}

/** Reads the head of a pool, consistently. Returns undefined if no job has asked for this type yet. */
export async function findPool(ctx: Context<"table">, type: string): Promise<Pool | undefined> {
  const item = await ctx.table.get(poolKey(type));
  return item && poolParser(ctx)(item);
}

/**
 * Returns the parser for the head of a pool. A planned drain whose time has come counts as drained from then on, so
 * nothing has to run at that moment.
 */
export function poolParser({ clock }: Pick<Context, "clock">): (item: Item) => Pool {
  return (item) => {
    const pool = parsePool(item);
    const due = pool.plannedDrains?.filter(({ from }) => from <= clock.now()) ?? [];
    if (due.length === 0) return pool;
    const drained = addParts(pool.drained, due);
    return { ...pool, ...(due.some(isWholeType) && { closed: "drained" }), ...(drained.length > 0 && { drained }) };
  };
}

/** Reports whether the last plan saw this waiting job, or left it to a later plan. */
export function hasSeen(pool: Pool, waiting: Pick<Environment, "uid" | "waitOrder">): boolean {
  const { uid, waitOrder } = waiting;
  if (pool.seen.includes(uid) || Object.hasOwn(pool.offered, uid)) return true;
  return isBehind(pool.reach, waitOrder) && !(pool.summary.free > 0 && isNewcomer(pool, pool.reach, waitOrder));
}

export function parsePoolType(key: Key): string {
  return key.pk.slice("pool#".length);
}
