import type { Context } from "../../context.ts";
import { instanceTypeOfPool, instanceTypes, isAddedType, unitsPerNode } from "../../fleet.ts";
import type { Item } from "../../ports/table.ts";
import { kindOfKey, poolKey } from "../../store/keys.ts";
import { readable } from "../../store/readable.ts";
import { isNewer } from "../../store/unreadable.ts";
import { findGroup } from "../capacity/groups.ts";
import { type EstimateErrors, estimateErrorsKey, readEstimateErrors } from "../forecast/calibration.ts";
import { parsePool } from "../ledger/parse.ts";
import { type Pool, poolParser } from "../ledger/record.ts";
import type { Closure } from "../plan/plan.ts";

export interface Capacity {
  readonly pool: string;
  readonly gpusPerMachine: number;
  /** GPUs, always 0 for pools of CPU machines. */
  readonly total: number;
  readonly available: number;
  readonly inUse: number;
  readonly queued: number;
  readonly largestFree: number;
  readonly makeable: number;
  /** Why the pool starts nothing new, or null if it is open. */
  readonly closed: Closure | null;
  /** Environments of all owners. */
  readonly activeCount: number;
  readonly hasMachines: boolean;
  /** Whether clients learn of this type only here: MACHINE_TYPES adds it. */
  readonly isAdded: boolean;
  readonly preparingCount: number;
  readonly queuedCount: number;
}

export interface CapacityReport {
  /** Pools with machines first, then those whose node group makes some, then the rest; each part sorted by pool. */
  readonly pools: readonly Capacity[];
  /** Time of the oldest count, ms. */
  readonly countedAt: number;
}

export interface ClusterStatus extends CapacityReport {
  /** Sorted by type. Types without starts are left out. */
  readonly estimateErrors: readonly EstimateErrors[];
}

const types = instanceTypes.map(({ pool }) => pool);

/**
 * Returns the capacity of all pools, for all owners and without names, in one batch read. Throws `Unreadable` for a
 * ledger of a newer format, because its type would look as if it had no machines.
 */
export async function readCapacity(ctx: Context<"table">): Promise<CapacityReport> {
  return buildCapacity(ctx, await ctx.table.getMany(types.map(poolKey)));
}

export async function readClusterStatus(ctx: Context<"table">): Promise<ClusterStatus> {
  const items = await ctx.table.getMany([...types.map(poolKey), ...types.map(estimateErrorsKey)]);
  const heads = items.filter((item) => kindOfKey(item) === "pool");
  return { ...buildCapacity(ctx, heads), estimateErrors: readEstimateErrors(items, types) };
}

function buildCapacity(ctx: Context, items: readonly Item[]): CapacityReport {
  const newer = items.find(isNewer);
  if (newer) parsePool(newer);
  const counted = readable(ctx, items, poolParser(ctx)).filter((pool) => pool.summary.plannedAt > 0);
  counted.sort((a, b) => getRank(ctx, a) - getRank(ctx, b) || (a.type < b.type ? -1 : 1));
  const pools = counted.map((pool): Capacity => {
    const gpusPerMachine = instanceTypes.find((type) => type.pool === pool.type)?.gpus ?? 0;
    const gpus = (units: number) => (gpusPerMachine > 0 ? units : 0);
    const { total, free, mostFree, makeable = 0, inUse, waiting, waitingUnits, preparing, active } = pool.summary;
    return {
      pool: pool.type,
      hasMachines: total > 0 || inUse > 0 || grows(ctx, pool),
      isAdded: isAddedType(instanceTypeOfPool(pool.type).name),
      gpusPerMachine,
      total: gpus(total),
      // A job on a lost node counts as in use but takes no units from other jobs, as in the plan.
      available: pool.closed ? 0 : gpus(free),
      // Earlier versions did not store the free units per machine.
      largestFree: pool.closed ? 0 : gpus(mostFree ? (mostFree[0] ?? 0) : Math.min(free, gpusPerMachine)),
      makeable,
      closed: pool.closed,
      inUse: gpus(inUse),
      queued: gpus(waitingUnits),
      activeCount: active,
      preparingCount: preparing,
      queuedCount: waiting,
    };
  });
  const countedAt = Math.min(ctx.clock.now(), ...counted.map((pool) => pool.summary.plannedAt));
  return { pools: [...pools, ...unplanned(pools)], countedAt };
}

/** Returns the added types that no plan has counted yet. */
function unplanned(planned: readonly Capacity[]): Capacity[] {
  const left = instanceTypes.filter(
    (type) => isAddedType(type.name) && planned.every(({ pool }) => pool !== type.pool),
  );
  return left.map(({ pool, gpus: gpusPerMachine }) => ({
    pool,
    gpusPerMachine,
    total: 0,
    available: 0,
    inUse: 0,
    queued: 0,
    largestFree: 0,
    makeable: 0,
    closed: null,
    activeCount: 0,
    preparingCount: 0,
    queuedCount: 0,
    hasMachines: false,
    isAdded: true,
  }));
}

function grows(ctx: Context, { type, summary }: Pool): boolean {
  return summary.grows === true || findGroup(ctx, type) !== undefined;
}

function getRank(ctx: Context, pool: Pool): number {
  const { total, makeable = 0 } = pool.summary;
  // The total includes machines that can still be created.
  if (total > makeable * unitsPerNode(instanceTypeOfPool(pool.type))) return 0;
  return grows(ctx, pool) ? 1 : 2;
}
