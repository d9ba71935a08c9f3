import type { Context } from "../../context.ts";
import type { Environment, Size } from "../../environments/record/record.ts";
import type { NodeRef, Share, Unready } from "../../ports/compute.ts";
import type { Key, Stored } from "../../ports/table.ts";
import { dueShardOf } from "../../store/due.ts";
import { poolKey } from "../../store/keys.ts";
import type { Closure } from "../plan/plan.ts";
import { isNewcomer, type Round } from "../plan/round.ts";
import { isBehind, type Reach } from "./lines.ts";
import { parsePool } from "./parse.ts";
import type { Tally } from "./tally.ts";

/** A machine of the pool as the cluster last showed it. */
export interface PoolNode extends NodeRef {
  readonly zone: string;
  readonly ready: boolean;
  /** Why it is not ready, while it is not; absent where nobody can tell, and in what an earlier version wrote. */
  readonly unready?: Unready | undefined;
  readonly units: number;
  readonly foreignUnits: number;
  /** Units of runs of ours that the cluster shows there and its ledger does not name. */
  readonly leftoverUnits: number;
  /**
   * Its node object is not there any more and somebody holds some of it, or the operator said so: it counts for nothing
   * else.
   */
  readonly gone?: true;
  /** When the operator said so. */
  readonly saidAt?: number | undefined;
}

/** What a ledger item says of a run that was given some of it, and has not taken it yet. */
export interface Entry {
  /** The key of the environment, as a message carries it. */
  readonly key: string;
  readonly uid: string;
  readonly run: number;
  /** The id of the grant: a run may be granted twice by two planners, and takes one of them. */
  readonly grant: string;
  readonly owner: string;
  /** Per machine. */
  readonly units: number;
  /** How many it has in all; `items` then names the ledger item of each, in the order of their ranks. */
  readonly machines: number;
  readonly items?: readonly string[] | undefined;
  readonly wantedMs: number;
  readonly at: number;
  /** Since when its record cannot be read, ms: until it can be, nothing is known about it and it stays as it is. */
  readonly unreadableSince?: number | undefined;
}

/** What it says of one that has taken it, with what its record last said. */
export interface HeldEntry extends Entry {
  readonly phase: "preparing" | "active" | "stopping";
  readonly endsAt: number | null;
}

/** What every item has that decides who has capacity: nothing else does. */
interface LedgerEntries extends Stored {
  /** Pool. */
  readonly type: string;
  readonly granted: readonly Entry[];
  readonly held: readonly HeldEntry[];
}

/** The ledger item of one machine, by its name and the uid of its node object. */
export interface NodeLedger extends LedgerEntries, PoolNode {
  readonly kind: "node";
  /** When the pool first saw it, ms. */
  readonly since: number;
  /** Nothing is granted there until then: a run could not start on it. */
  readonly asideUntil?: number | undefined;
}

/** That of the machines which a pool's group has still to make. */
export interface MakeableLedger extends LedgerEntries {
  readonly kind: "makeable";
}

export type LedgerItem = NodeLedger | MakeableLedger;

/** Capacity decided for a run that has not taken it yet: what its ledger items say together. */
export interface Grant {
  readonly id: string;
  /** Key of the environment in a message. */
  readonly key: string;
  readonly uid: string;
  readonly run: number;
  readonly owner: string;
  readonly size: Size;
  readonly shares: readonly Share[];
  /** The ledger item of each share, in a message. */
  readonly items: readonly string[];
  readonly at: number;
  readonly unreadableSince?: number | undefined;
}

/** Capacity that a run has taken, with what its record last said. */
export interface Holding extends Grant {
  readonly phase: "preparing" | "active" | "stopping";
  readonly endsAt: number | null;
}

/** What availability and status answer from. Units are GPUs, or machines in a CPU pool. */
export interface PoolSummary {
  readonly total: number;
  readonly free: number;
  /** See `Plan`; absent in what an earlier version wrote. */
  readonly mostFree?: readonly number[] | undefined;
  /** Machines that its node group may still make; absent in what an earlier version wrote. */
  readonly makeable?: number | undefined;
  readonly inUse: number;
  readonly waiting: number;
  readonly waitingUnits: number;
  /** Those of the waiting that have not taken their grant yet. */
  readonly granted: number;
  readonly preparing: number;
  readonly active: number;
  readonly stopping: number;
  /** Units granted or held by records that cannot be read. */
  readonly unreadable: number;
  /** Ledger items that cannot be read. */
  readonly unreadableItems: number;
  readonly plannedAt: number;
}

/** The head of a pool: what the last plan saw. Who has capacity is said by its ledger items alone. */
export interface Pool extends Stored {
  readonly kind: "pool";
  readonly type: string;
  /** Environments that the last plan considered and did not grant. */
  readonly seen: readonly string[];
  /**
   * By the uid of who had not taken its grant yet when it was made: the ledger items of that, for those to whom no look
   * came.
   */
  readonly offered: Readonly<Record<string, readonly string[]>>;
  /** How far the last plan read those who wait. */
  readonly reach: Reach;
  readonly round?: Round | undefined;
  /** Who keeps a reserved start until it is granted; `key` as in a grant. */
  readonly head: Pick<Grant, "uid" | "key"> | null;
  readonly summary: PoolSummary;
  /** How far what is held was compared with its records in turn: the last of these ledger items, and when. */
  readonly compared: { readonly item: string | null; readonly at: number };
  /** When the plan was last written out for those who wait, and to which of its 16 items. */
  readonly advisedAt: number;
  readonly advised: string;
  readonly plans: number;
  /** Why nothing new is granted or taken, as the operator wants it. */
  readonly closed: Closure | null;
  /** When it was last opened; absent where it never was closed. */
  readonly openedAt?: number | undefined;
  /** Absent until something came or went. */
  readonly tally?: Tally | undefined;
  readonly dueShard: string;
  readonly dueAt?: number | undefined;
}

/** A pool with all its ledger items, as they were read or as they shall be. */
export interface Ledger {
  readonly pool: Pool;
  readonly type: string;
  readonly nodes: readonly NodeLedger[];
  readonly makeable: MakeableLedger;
  readonly granted: readonly Grant[];
  readonly held: readonly Holding[];
  /** Keys of ledger items that cannot be read: nobody is given anything there. */
  readonly unreadable: ReadonlySet<string>;
  /** Keys of ledger items of which the entries contradict each other: the next write makes them agree. */
  readonly torn: ReadonlySet<string>;
}

/** A pool nobody has seen yet. No writers: the first write must find it absent. */
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
    dueShard: dueShardOf(ctx.ids, key),
    dueAt: ctx.clock.now(),
  };
}

/** The head as it stands, consistently read; undefined while nobody has asked for this type. */
export async function findPool(ctx: Context<"table">, type: string): Promise<Pool | undefined> {
  const item = await ctx.table.get(poolKey(type));
  return item && parsePool(item);
}

/** Whether the pool knows that this one waits, or knows only that it stands behind all that the last plan read. */
export function knowsOf(pool: Pool, waiting: Pick<Environment, "uid" | "waitOrder">): boolean {
  const { uid, waitOrder } = waiting;
  if (pool.seen.includes(uid) || Object.hasOwn(pool.offered, uid)) return true;
  return isBehind(pool.reach, waitOrder) && !(pool.summary.free > 0 && isNewcomer(pool, pool.reach, waitOrder));
}

/** The type of pool that a key names. */
export function poolTypeOf(key: Key): string {
  return key.pk.slice("pool#".length);
}
