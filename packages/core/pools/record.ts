import type { Context, Key, NodeRef, Share, Stored } from "../context.ts";
import { dueShardOf } from "../due.ts";
import type { Environment, Size } from "../environments/record.ts";
import { poolKey } from "../keys.ts";
import type { Closure } from "./admission.ts";
import { isBehind, type Reach } from "./lines.ts";
import { parsePool } from "./parse.ts";
import type { Tally } from "./tally.ts";

/** A machine of the pool as the cluster last showed it. */
export interface PoolNode extends NodeRef {
  readonly zone: string;
  readonly ready: boolean;
  readonly units: number;
  readonly foreignUnits: number;
  /** Its node object is not there any more and somebody holds some of it, or the operator said so: it counts for nothing else. */
  readonly gone?: true;
  /** When the operator said so. */
  readonly saidAt?: number | undefined;
}

/** Capacity decided for a run that has not taken it yet. */
export interface Grant {
  /** Key of the environment in a message. */
  readonly key: string;
  readonly uid: string;
  readonly run: number;
  readonly owner: string;
  readonly size: Size;
  readonly shares: readonly Share[];
  readonly at: number;
  /** Since when its record cannot be read, ms: until it can be, nothing is known about it and it stays as it is. */
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
  readonly inUse: number;
  readonly waiting: number;
  readonly waitingUnits: number;
  readonly preparing: number;
  readonly active: number;
  /** Units granted or held by records that cannot be read. */
  readonly unreadable: number;
  readonly plannedAt: number;
}

/** The ledger of one type of machine: the one item that decides who has capacity (design section 3). */
export interface Pool extends Stored {
  readonly kind: "pool";
  readonly type: string;
  readonly nodes: readonly PoolNode[];
  /** Machines that the pool's group may have in all; equals the nodes where nothing scales. */
  readonly maxNodes: number;
  readonly startupMs: number;
  readonly granted: readonly Grant[];
  readonly held: readonly Holding[];
  /** Environments that the last plan considered and did not grant. */
  readonly seen: readonly string[];
  /** How far the last plan read those who wait. */
  readonly reach: Reach;
  /** Who keeps a reserved start until it is granted; `key` as in a grant. */
  readonly head: Pick<Grant, "uid" | "key"> | null;
  readonly setAside: readonly { readonly node: string; readonly until: number }[];
  readonly summary: PoolSummary;
  /** When everything that is held was last compared with its record. */
  readonly refreshedAt: number;
  /** When the plan was last written out for those who wait, and to which of its 16 items. */
  readonly advisedAt: number;
  readonly advised: string;
  readonly plans: number;
  /** Why nothing new is granted, as the operator wants it; absent in ledgers from before he could. */
  readonly closed?: Closure | null | undefined;
  /** Absent until something came or went. */
  readonly tally?: Tally | undefined;
  readonly dueShard: string;
  readonly dueAt?: number | undefined;
}

/** A pool nobody has seen yet: no nodes, nothing held. No writers: the first write must find it absent. */
export function emptyPool(ctx: Context, type: string): Pool {
  const key = poolKey(type);
  const inUse = { inUse: 0, preparing: 0, active: 0, unreadable: 0 };
  const summary = { total: 0, free: 0, ...inUse, waiting: 0, waitingUnits: 0, plannedAt: 0 };
  return {
    ...key,
    writers: [],
    kind: "pool",
    type,
    nodes: [],
    maxNodes: 0,
    startupMs: 0,
    granted: [],
    held: [],
    seen: [],
    reach: { begin: null, last: null, cut: {} },
    head: null,
    setAside: [],
    summary,
    refreshedAt: 0,
    advisedAt: 0,
    advised: "",
    plans: 0,
    closed: null,
    dueShard: dueShardOf(ctx.ids, key),
    dueAt: ctx.clock.now(),
  };
}

/** The ledger as it stands, consistently read; undefined while nobody has asked for this type. */
export async function findPool(ctx: Context<"table">, type: string): Promise<Pool | undefined> {
  const item = await ctx.table.get(poolKey(type));
  return item && parsePool(item);
}

/** Whether the pool knows that this one waits, or knows only that it stands behind all that the last plan read. */
export function knowsOf(pool: Pool, waiting: Pick<Environment, "uid" | "waitOrder">): boolean {
  return pool.seen.includes(waiting.uid) || isBehind(pool.reach, waiting.waitOrder);
}

export function namesEnvironment(pool: Pool, uid: string): boolean {
  return [...pool.granted, ...pool.held].some((entry) => entry.uid === uid);
}

/** The type of pool that a key names. */
export function poolTypeOf(key: Key): string {
  return key.pk.slice("pool#".length);
}
