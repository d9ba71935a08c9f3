import type { Context } from "../context.ts";
import { parseEnvironment } from "../environments/record/parse.ts";
import { type Environment, isWaiting } from "../environments/record/record.ts";
import { poolTypes } from "../fleet.ts";
import {
  type AdmissionClosure,
  type DrainedPart,
  type PlannedDrain,
  readAdmission,
} from "../pools/admission/admission.ts";
import { type ListedNode, listedNode } from "../pools/capacity/list-nodes.ts";
import { type MachineGroupsItem, parseMachineGroups } from "../pools/capacity/machine-groups-item.ts";
import { isInParts } from "../pools/capacity/pool-parts.ts";
import { readAdvice, type WaitAdvice } from "../pools/forecast/advice.ts";
import { readLedger } from "../pools/ledger/ledger.ts";
import { emptyPool, findPool, type Holding, type Ledger, type PoolSummary } from "../pools/ledger/record.ts";
import { keyOfText, machineGroupsKey } from "../store/keys.ts";
import { readable, unlessUnreadable } from "../store/readable.ts";
import { listLivingKeys } from "./living.ts";

/** A pool as operators see it. Units are GPUs, or machines in a CPU pool. */
export interface PoolView {
  readonly type: string;
  readonly summary: PoolSummary;
  readonly drained: Partial<AdmissionClosure> | null;
  readonly drainedParts: readonly DrainedPart[];
  /** The drains whose time has not come. */
  readonly plannedDrains: readonly PlannedDrain[];
  readonly nodes: readonly PoolNodeView[];
  /** Sorted as the planner would start them. Environments that the plan does not reach come last, oldest first. */
  readonly queue: readonly QueueEntry[];
}

export interface PoolNodeView extends ListedNode {
  /** True if an operator drained this machine, its zone or its node group. */
  readonly isDrained: boolean;
  readonly group: string | null;
  readonly holders: readonly Holder[];
}

export interface Holder {
  readonly owner: string;
  readonly environment: string;
  readonly createdBy: string;
  readonly units: number;
  readonly phase: Holding["phase"] | "granted";
  readonly endsAt: number | null;
}

export interface QueueEntry {
  readonly environment: Environment;
  readonly advice: WaitAdvice | undefined;
  /** Units of this pool that the owner has now. */
  readonly ownersUnits: number;
}

export interface PoolsView {
  readonly paused: Partial<AdmissionClosure> | null;
  readonly pools: readonly PoolView[];
  /** The provider's node groups, when it was asked for them, and how it replied. Null without a provider. */
  readonly machineGroups: Pick<MachineGroupsItem, "groups" | "readAt" | "triedAt" | "failure"> | null;
}

/** Returns the pools with machines, waiting environments or a closure, or the one of this type. */
export async function readPools(ctx: Context<"table">, type?: string): Promise<PoolsView> {
  const types = poolTypes.filter((each) => type === undefined || each === type);
  const [{ paused, drained, closures = [], parts = [], planned = [] }, machineGroups, waiting, ledgers] =
    await Promise.all([
      readAdmission(ctx),
      findMachineGroups(ctx),
      listWaiting(ctx),
      Promise.all(types.map(async (each) => readLedger(ctx, (await findPool(ctx, each)) ?? emptyPool(ctx, each)))),
    ]);
  const advice = await readAdvice(ctx, waiting);
  const getNote = (closed: string | null) => closures.find((closure) => closure.type === closed) ?? {};
  const now = ctx.clock.now();
  const pools = ledgers.map((ledger) => {
    const isDrained = drained.includes(ledger.type);
    return toPoolView(ledger, {
      now,
      waiting,
      advice,
      drained: isDrained ? getNote(ledger.type) : null,
      drainedParts: parts.filter(({ type }) => type === ledger.type),
      plannedDrains: planned.filter(({ type, from }) => type === ledger.type && from > now),
    });
  });
  return {
    paused: paused ? getNote(null) : null,
    pools: pools.filter((pool) => type !== undefined || isUsed(pool)),
    machineGroups,
  };
}

async function findMachineGroups(ctx: Context<"table">): Promise<PoolsView["machineGroups"]> {
  const item = await ctx.table.get(machineGroupsKey);
  return (item && (await unlessUnreadable(ctx, async () => parseMachineGroups(item)))) ?? null;
}

async function listWaiting(ctx: Context<"table">): Promise<Environment[]> {
  const found = readable(ctx, await ctx.table.getMany(await listLivingKeys(ctx)), parseEnvironment);
  return found.filter(isWaiting);
}

function isUsed({ nodes, queue, drained, drainedParts, plannedDrains }: PoolView): boolean {
  const closures = drainedParts.length + plannedDrains.length;
  return nodes.length > 0 || queue.length > 0 || drained !== null || closures > 0;
}

interface Around {
  readonly now: number;
  readonly waiting: readonly Environment[];
  readonly advice: ReadonlyMap<string, WaitAdvice>;
  readonly drained: PoolView["drained"];
  readonly drainedParts: PoolView["drainedParts"];
  readonly plannedDrains: PoolView["plannedDrains"];
}

function toPoolView(ledger: Ledger, { now, waiting, advice, ...closed }: Around): PoolView {
  const { type, pool, nodes, makeable } = ledger;
  const unitsByOwner = new Map<string, number>();
  for (const { owner, units } of [...nodes, makeable].flatMap(({ granted, held }) => [...granted, ...held])) {
    unitsByOwner.set(owner, (unitsByOwner.get(owner) ?? 0) + units);
  }
  const queue = waiting
    .filter(({ size }) => size.pool === type)
    .map((environment) => ({
      environment,
      advice: advice.get(environment.uid),
      ownersUnits: unitsByOwner.get(environment.owner) ?? 0,
    }))
    .toSorted((left, right) => rank(left) - rank(right) || left.environment.queuedAt - right.environment.queuedAt);
  const views = nodes.map((node) => {
    return { ...toNodeView(node, now), isDrained: isInParts(closed.drainedParts, node) };
  });
  return { type, summary: pool.summary, ...closed, queue, nodes: views };
}

function rank({ advice }: QueueEntry): number {
  return advice?.place?.position ?? Number.MAX_SAFE_INTEGER;
}

function toNodeView(node: Ledger["nodes"][number], now: number): Omit<PoolNodeView, "isDrained"> {
  const granted = node.granted.map((entry) => ({ ...entry, phase: "granted" as const, endsAt: null }));
  const holders = [...granted, ...node.held].map(({ key, owner, units, phase, endsAt }) => {
    const { pk, sk } = keyOfText(key) ?? { pk: "", sk: key };
    return { owner, environment: sk, createdBy: pk.split("#")[3] ?? "", units, phase, endsAt };
  });
  return { ...listedNode(node, now), group: node.group ?? null, holders };
}
