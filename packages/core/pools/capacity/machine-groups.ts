import type { Context } from "../../context.ts";
import { findInstanceType } from "../../fleet.ts";
import type { ComputeNode } from "../../ports/compute.ts";
import type { Lack, MachineGroup } from "../../ports/machine-groups.ts";
import type { Item } from "../../ports/table.ts";
import { kindOfError } from "../../problem.ts";
import { keyText, machineGroupsKey } from "../../store/keys.ts";
import { unlessUnreadable } from "../../store/readable.ts";
import { isNewer } from "../../store/unreadable.ts";
import { writeRecord } from "../../store/write-record.ts";
import { MINUTE_MS } from "../../units.ts";
import type { GroupGrowth, Ledger, PoolGroup } from "../ledger/record.ts";
import { planSoon } from "../plan/plan-soon.ts";
import { unreadableNodes } from "../plan/summary.ts";
import { withGroup } from "./group-lacks.ts";
import { findGroup } from "./groups.ts";
import { type MachineGroupsItem, parseMachineGroups } from "./machine-groups-item.ts";
import type { Listing } from "./pool-nodes.ts";
import { isGroupIn } from "./pool-parts.ts";

/** EKS allows 30 groups in a cluster by default. One item holds all. */
const MOST_GROUPS = 100;
const MOST_LOGGED = 20;
const READ_EVERY_MS = 5 * MINUTE_MS;
/** The schedule runs each minute, a little early or late. */
const TOLERANCE_MS = 10_000;

/**
 * Returns the groups of the provider, or undefined if they are unknown. Asks every 5 minutes, and after a machine did
 * not come. If the provider does not answer, or there is no port for it, its last answer stays.
 */
export async function readMachineGroups(
  ctx: Context<"table"> & Partial<Context<"machineGroups">>,
  item: Item | undefined,
  ledgers: readonly Pick<Ledger, "makeable">[],
): Promise<readonly MachineGroup[] | undefined> {
  const before = item && (await unlessUnreadable(ctx, async () => parseMachineGroups(item)));
  if (item && !before && isNewer(item)) return undefined;
  const now = ctx.clock.now();
  const known = before?.readAt === undefined ? undefined : before.groups;
  const shortages = ledgers.flatMap(({ makeable: { shortage, zoneShortages = {} } }) => [
    ...(shortage ? [shortage] : []),
    ...Object.values(zoneShortages),
  ]);
  const failedAt = Math.max(0, ...shortages.map((shortage) => shortage.failedAt));
  const isFresh = before && now - before.triedAt < READ_EVERY_MS - TOLERANCE_MS && before.triedAt <= now;
  if (!ctx.machineGroups || (isFresh && failedAt <= before.triedAt)) return known;
  // The next answer replaces a damaged item, which holds nothing else.
  const common = { ...machineGroupsKey, writers: item?.writers ?? [], kind: "machine-groups" as const, triedAt: now };
  try {
    const groups = (await ctx.machineGroups.list())?.slice(0, MOST_GROUPS);
    const unclear = (groups ?? []).filter(({ instanceTypes }) => instanceTypes.length !== 1).map(({ name }) => name);
    if (unclear.length > 0) ctx.log.info("machine groups without one type", { groups: unclear.slice(0, MOST_LOGGED) });
    if (groups) await writeRecord<MachineGroupsItem>(ctx, { ...common, groups, readAt: now });
    return groups ?? known;
  } catch (error) {
    const failure = kindOfError(error);
    const readAt = before?.readAt;
    const ageSeconds = readAt === undefined ? undefined : Math.round((now - readAt) / 1000);
    ctx.log.warn("machine groups not read", { error: failure, ageSeconds });
    await writeRecord<MachineGroupsItem>(ctx, { ...before, ...common, groups: known ?? [], readAt, failure });
    return known;
  }
}

/**
 * Returns the group of each pool that NODE_GROUPS does not name: the provider's groups that may still grow, with their
 * sum. A group that lacks something counts only if all other groups lack something or are drained. Otherwise the zones
 * that no other group reaches lack it. A group of several machine types is left out, because it may create either. A
 * group that has not started is a member with its start, and the sum leaves it out.
 */
export function findPoolGroups(
  ctx: Pick<Context, "settings" | "clock">,
  groups: readonly MachineGroup[],
  listed: readonly ComputeNode[],
  nodes: Listing["nodes"],
  ledgers: readonly Pick<Ledger, "pool" | "type" | "unreadable" | "makeable">[],
): ReadonlyMap<string, PoolGroup> {
  const admitting = groups.filter(({ isActive, admitsRuns, instanceTypes }) => {
    return isActive && admitsRuns && instanceTypes.length === 1;
  });
  const byPool = Map.groupBy(admitting, ({ instanceTypes: [type = ""] }) => findInstanceType(type)?.pool ?? "");
  byPool.delete("");
  const now = ctx.clock.now();
  const hasStarted = ({ startsAt = now }: MachineGroup) => startsAt <= now;
  const members = Map.groupBy(listed, ({ group }) => group ?? "");
  const growth = ({ name, mostNodes }: MachineGroup) => Math.max(0, mostNodes - (members.get(name)?.length ?? 0));
  const found = [...byPool].flatMap(([pool, all]): [string, PoolGroup][] => {
    if (findGroup(ctx, pool)) return [];
    const growing = all.filter((group) => growth(group) > 0);
    const ledger = ledgers.find(({ type }) => type === pool);
    const started = growing.filter(hasStarted);
    const open = started.filter((group) => !isGroupIn(ledger?.pool.drained ?? [], group));
    const usable = open.length > 0 ? open : started;
    const healthy = usable.filter(isHealthy);
    const counted = healthy.length > 0 ? started.filter(isHealthy) : started;
    const present = (nodes.get(pool) ?? []).filter((node) => !node.gone);
    // A plan counts machines with unreadable ledger items as existing (summary.ts).
    const there = present.length + (ledger ? unreadableNodes(ledger) : 0);
    const mostNodes = counted.reduce((sum, group) => sum + growth(group), there);
    const zones = [...new Set(growing.flatMap((group) => group.zones))].sort();
    const members = growing.map((group): GroupGrowth => {
      const mostNodes = growth(group) + present.filter((node) => node.group === group.name).length;
      const nodes = counted.includes(group) ? growth(group) : 0;
      const { name, zones, isSelectable } = group;
      const begins = hasStarted(group) ? {} : { startsAt: group.startsAt };
      return { name, nodes, mostNodes, zones, ...(isSelectable && { isSelectable }), ...begins };
    });
    const why = healthy.length > 0 ? findZoneLacks(usable, healthy) : { lacks: usable[0]?.lacks };
    return [[pool, { mostNodes, startupMs: STARTUP_MS, zones, members, ...why }]];
  });
  return new Map(found);
}

/** Reports whether a group may create machines in one of its zones. */
function isHealthy({ lacks, lacksIn }: MachineGroup): boolean {
  return lacks === undefined || lacksIn !== undefined;
}

/** Returns what each zone without a healthy group lacks. A healthy group of unknown zones may be in any. */
function findZoneLacks(
  growing: readonly MachineGroup[],
  healthy: readonly MachineGroup[],
): Pick<PoolGroup, "zoneLacks"> {
  if (healthy.some(({ zones }) => zones.length === 0)) return {};
  const covered = new Set(
    healthy.flatMap(({ zones, lacksIn = [] }) => zones.filter((zone) => !lacksIn.includes(zone))),
  );
  const lacking = growing.flatMap(({ zones, lacks, lacksIn = zones }) =>
    lacksIn.flatMap((zone): [string, Lack][] => (lacks === undefined || covered.has(zone) ? [] : [[zone, lacks]])),
  );
  return lacking.length > 0 ? { zoneLacks: Object.fromEntries(lacking) } : {};
}

/** The default of NODE_GROUPS. */
const STARTUP_MS = 5 * MINUTE_MS;

/** Writes the groups into the ledgers that differ. A lost race is left to the next run. */
export async function writePoolGroups(
  ctx: Context<"table" | "queue">,
  ledgers: readonly Ledger[],
  groups: ReadonlyMap<string, PoolGroup>,
): Promise<void> {
  const now = ctx.clock.now();
  const readable = ledgers.filter(({ unreadable, makeable }) => !unreadable.has(keyText(makeable)));
  await Promise.all(
    readable.map(async ({ type, makeable }) => {
      const next = withGroup(makeable, groups.get(type), now);
      if (next !== makeable && (await writeRecord(ctx, next))) await planSoon(ctx, type);
    }),
  );
}
