import type { Context } from "../../context.ts";
import { writeRunMarks } from "../../environments/record/run/observation-digest.ts";
import { poolTypes } from "../../fleet.ts";
import type { ComputeNode } from "../../ports/compute.ts";
import type { MachineGroup } from "../../ports/machine-groups.ts";
import type { Item } from "../../ports/table.ts";
import { noteListing } from "../../reconciler/cluster-state.ts";
import { clusterKey, kindOfKey, machineGroupsKey, poolKey } from "../../store/keys.ts";
import { type Read, readEach, unlessUnreadable } from "../../store/readable.ts";
import { carryAdmission, differs, readAdmission } from "../admission/admission.ts";
import { readLedger } from "../ledger/ledger.ts";
import { type Ledger, type Pool, poolParser } from "../ledger/record.ts";
import { planGroupEnds, withEnds } from "./group-ends.ts";
import { readMachineGroups } from "./machine-groups.ts";
import { WORD_MS } from "./node-gone.ts";
import { type LeftOut, poolNodes } from "./pool-nodes.ts";
import { type Written, writeListing, writeNamed } from "./write-listing.ts";

type Caller = "schedule" | "watcher";
type Ports = Context<"table" | "queue" | "compute"> & Partial<Context<"machineGroups">>;

/**
 * Reconciles the ledger items with the machines that the cluster lists, and plans the pools whose machines changed. It
 * creates missing pools, and copies the operator's setting into pools that lack it. If the context has no
 * `machineGroups`, it uses the groups of the last listing. Only the schedule, which lists once a minute, reports an
 * unreachable cluster, because an alarm counts its reports. Only the schedule writes the marks of runs, which stay valid
 * until its next listing. With `names`, it lists and updates only these machines. If one of them needs a new item, it
 * lists all, because a new machine counts in its node group. Returns false if other writers changed items first, so that
 * another listing may write the rest.
 */
export async function refreshCapacity(
  ctx: Ports,
  caller: Caller = "schedule",
  names?: ReadonlySet<string>,
): Promise<boolean> {
  const startedAt = ctx.clock.monotonic();
  const written = await refreshOnce(ctx, caller, names);
  const isQuick = ctx.clock.monotonic() - startedAt <= QUICK_MS;
  const last = written === "again" && isQuick ? await refreshOnce(ctx, caller) : written;
  return last === "all" || last === "late";
}

/** Reads the ledgers before the cluster, so a change between the two reads is left to the next listing. */
async function refreshOnce(ctx: Ports, caller: Caller, names?: ReadonlySet<string>): Promise<Written | "late"> {
  const { cluster, groupsItem, pools, heads, ledgers } = await readKnown(ctx);
  const [startedAt, listedAt] = [ctx.clock.monotonic(), ctx.clock.now()];
  const [listed, groups] = await Promise.all([
    listNodes(ctx, cluster, caller, names),
    readMachineGroups(ctx, groupsItem, ledgers),
  ]);
  const said = saidInItems(ctx, ledgers);
  const shown = withEnds(listed, groups ?? [], listedAt);
  const { nodes, leftOut } = poolNodes(shown, ledgers, said, listedAt);
  logGaps(ctx, listed, leftOut);
  // A slow listing does not matter here: marks carry their own time, and the setting hardly depends on it.
  await Promise.all([
    // The watcher may have read older groups than the schedule, which plans their ends.
    carryClosures(ctx, ledgers, caller === "schedule" ? groups : undefined, listed),
    caller === "schedule" && writeRunMarks(ctx, listed, listedAt),
  ]);
  const tookMs = ctx.clock.monotonic() - startedAt;
  if (tookMs > TOO_OLD_MS) {
    const seconds = Math.round(tookMs / 1000);
    ctx.log.error("capacity listed too slowly", { seconds, nodes: listed.length });
    return "late";
  }
  const listing = { pools, heads, ledgers, groups, listed, shown, nodes, said, listedAt };
  return names ? writeNamed(ctx, listing, names) : writeListing(ctx, listing);
}

/** The items as they were before a listing. */
interface Known {
  readonly cluster: Item | undefined;
  readonly groupsItem: Item | undefined;
  readonly pools: readonly Item[];
  readonly heads: Read<Pool>;
  readonly ledgers: readonly Ledger[];
}

async function readKnown(ctx: Context<"table">): Promise<Known> {
  const items = await ctx.table.getMany([...poolTypes.map(poolKey), clusterKey, machineGroupsKey]);
  const pools = items.filter((item) => kindOfKey(item) === "pool");
  const heads = readEach(ctx, pools, poolParser(ctx));
  const ledgers = await Promise.all(heads.records.map((pool) => readLedger(ctx, pool)));
  const find = ({ pk }: { readonly pk: string }) => items.find((item) => item.pk === pk);
  return { cluster: find(clusterKey), groupsItem: find(machineGroupsKey), pools, heads, ledgers };
}

async function listNodes(
  ctx: Context<"table" | "queue" | "compute">,
  cluster: Item | undefined,
  caller: Caller,
  names: ReadonlySet<string> | undefined,
): Promise<ComputeNode[]> {
  try {
    const listed = await ctx.compute.listNodes(names);
    await noteListing(ctx, cluster, true);
    return listed;
  } catch (error) {
    if (caller === "schedule") await noteListing(ctx, cluster, false);
    throw error;
  }
}

function logGaps(ctx: Context, listed: readonly ComputeNode[], leftOut: readonly LeftOut[]): void {
  if (leftOut.length > 0)
    ctx.log.warn("nodes left out", { count: leftOut.length, nodes: leftOut.slice(0, MOST_LOGGED) });
  const unread = listed.filter((node) => node.unread).length;
  if (unread > 0) ctx.log.warn("capacity listed in part", { nodes: listed.length, unread });
}

/**
 * Copies the operator's setting into ledgers that differ, with the ends of the provider's groups, if those are known. If
 * the setting is unreadable, closed pools stay closed.
 */
async function carryClosures(
  ctx: Context<"table" | "queue">,
  ledgers: readonly Ledger[],
  groups: readonly MachineGroup[] | undefined,
  listed: readonly ComputeNode[],
): Promise<void> {
  const before = await unlessUnreadable(ctx, () => readAdmission(ctx));
  const admission = before && groups ? await planGroupEnds(ctx, before, groups, listed) : before;
  const otherLedgers = ledgers.filter(({ pool }) => admission && differs(admission, pool));
  await Promise.all(otherLedgers.map(({ type }) => carryAdmission(ctx, type)));
}

/** Returns when the operator declared machines gone, by uid, from the ledger items. */
function saidInItems(ctx: Context, ledgers: readonly Ledger[]): ReadonlyMap<string, number> {
  const now = ctx.clock.now();
  const saidTimes = ledgers.flatMap(({ nodes }) => nodes.map(({ uid, saidAt }) => [uid, saidAt] as const));
  return new Map(
    saidTimes.flatMap(([uid, at]): [string, number][] => (at !== undefined && now - at < WORD_MS ? [[uid, at]] : [])),
  );
}

const MOST_LOGGED = 20;
/**
 * A refresh starts every minute. A slow one could undo the writes of the next, so older listings are dropped. On AWS
 * the function has 50 s (functions/schedules/capacity.ts); the rest is for the writes.
 */
const TOO_OLD_MS = 40_000;
/** The longest first listing after which a second one still ends in time. */
const QUICK_MS = 10_000;
