import type { Context } from "../../context.ts";
import { writeRunMarks } from "../../environments/record/run/observation-digest.ts";
import { poolTypes } from "../../fleet.ts";
import type { ComputeNode } from "../../ports/compute.ts";
import type { MachineGroup } from "../../ports/machine-groups.ts";
import { type Item, MOST_PUT_AT_ONCE } from "../../ports/table.ts";
import { noteListing } from "../../reconciler/cluster-state.ts";
import { clusterKey, keyText, kindOfKey, machineGroupsKey, nodeIdentity, poolKey } from "../../store/keys.ts";
import { readEach, unlessUnreadable } from "../../store/readable.ts";
import { sameData } from "../../store/same-data.ts";
import { Unreadable } from "../../store/unreadable.ts";
import { removeRecord, writeRecord, writeRecords } from "../../store/write-record.ts";
import { carryAdmission, differs, readAdmission } from "../admission/admission.ts";
import { beginGroupPools, beginPool } from "../admission/begin-pool.ts";
import {
  type HeldByRecords,
  nothingHeld,
  readHeldByRecords,
  stillHeldNowhere,
} from "../ledger/allocations-from-records.ts";
import { nodeLedgerKey, readLedger, readMakeable } from "../ledger/ledger.ts";
import { type Ledger, type MakeableLedger, type NodeLedger, type PoolNode, poolParser } from "../ledger/record.ts";
import { endShortages } from "../ledger/shortage.ts";
import { planSoon } from "../plan/plan-soon.ts";
import { planGroupEnds, withEnds } from "./group-ends.ts";
import { findGroup } from "./groups.ts";
import { findPoolGroups, readMachineGroups, writePoolGroups } from "./machine-groups.ts";
import { hintHolders } from "./machine-notice.ts";
import { readGoneNodes, WORD_MS } from "./node-gone.ts";
import { type Listing, poolNodes } from "./pool-nodes.ts";

type Caller = "schedule" | "watcher";

/**
 * Reconciles the ledger items with the machines that the cluster lists, and plans the pools whose machines changed. It
 * reads the ledgers before the cluster, so a change between the two reads is left to the next run. It creates missing
 * pools, and copies the operator's setting into pools that lack it. If the context has no `machineGroups`, it uses the
 * groups of the last run. Only the schedule, which lists once a minute, reports an unreachable cluster, because an alarm
 * counts its reports, and writes the marks of runs, which stay valid until its next listing.
 */
export async function refreshCapacity(
  ctx: Context<"table" | "queue" | "compute"> & Partial<Context<"machineGroups">>,
  caller: Caller = "schedule",
): Promise<void> {
  const items = await ctx.table.getMany([...poolTypes.map(poolKey), clusterKey, machineGroupsKey]);
  const cluster = items.find(({ pk }) => pk === clusterKey.pk);
  const pools = items.filter((item) => kindOfKey(item) === "pool");
  const heads = readEach(ctx, pools, poolParser(ctx));
  const ledgers = await Promise.all(heads.records.map((pool) => readLedger(ctx, pool)));
  const [startedAt, listedAt] = [ctx.clock.monotonic(), ctx.clock.now()];
  const [listed, groups] = await Promise.all([
    listNodes(ctx, cluster, caller),
    readMachineGroups(
      ctx,
      items.find(({ pk }) => pk === machineGroupsKey.pk),
      ledgers,
    ),
  ]);
  const said = saidInItems(ctx, ledgers);
  const shown = withEnds(listed, groups ?? [], listedAt);
  const { nodes, leftOut } = poolNodes(shown, ledgers, said, listedAt);
  if (leftOut.length > 0)
    ctx.log.warn("nodes left out", { count: leftOut.length, nodes: leftOut.slice(0, MOST_LOGGED) });
  const unread = listed.filter((node) => node.unread).length;
  if (unread > 0) ctx.log.warn("capacity listed in part", { nodes: listed.length, unread });
  // A slow listing does not matter here: marks carry their own time, and the setting hardly depends on it.
  await Promise.all([
    // The watcher may have read older groups than the schedule, which plans their ends.
    carryClosures(ctx, ledgers, caller === "schedule" ? groups : undefined, listed),
    caller === "schedule" && writeRunMarks(ctx, listed, listedAt),
  ]);
  const tookMs = ctx.clock.monotonic() - startedAt;
  if (tookMs > TOO_OLD_MS) {
    const seconds = Math.round(tookMs / 1000);
    return ctx.log.error("capacity listed too slowly", { seconds, nodes: listed.length });
  }
  const poolGroups = findPoolGroups(ctx, groups ?? [], listed, nodes, ledgers);
  if (groups) await writePoolGroups(ctx, ledgers, poolGroups);
  // The group that a ledger knows is still granted from, also while the provider's answer cannot be read.
  const hasGroup = new Set(ledgers.filter(({ makeable }) => makeable.group).map(({ type }) => type));
  const grows = (type: string) => poolGroups.has(type) || hasGroup.has(type) || findGroup(ctx, type) !== undefined;
  const isKnown = knownIn(ctx, ledgers);
  await Promise.all(
    ledgers.map((ledger) => {
      const found = (nodes.get(ledger.type) ?? []).filter((node) => isKnown(ledger.type, node));
      return writePool(ctx, { ...ledger, grows: grows(ledger.type) }, found, nothingHeld);
    }),
  );
  const newIn = (all: Listing["nodes"]) =>
    [...all].flatMap(([type, found]): [string, PoolNode[]][] => {
      const added = found.filter((node) => !isKnown(type, node));
      return added.length === 0 || heads.unreadable.has(keyText(poolKey(type))) ? [] : [[type, added]];
    });
  if (newIn(nodes).length === 0) return beginGroupPools(ctx, pools, poolGroups.keys());
  // Read after the known machines, because these larger reads may fail. They have no time limit: with very many living
  // environments, no new machine would ever be added.
  const taken = await readHeldByRecords(ctx, ledgers);
  // Read last. A declaration about a machine without an item is stored only on its own, and is not read again once the
  // item exists.
  const words = await readGoneNodes(ctx, newIn(nodes).flatMap(uidsIn), ctx.clock.now());
  const added = newIn(poolNodes(shown, ledgers, new Map([...words, ...said]), listedAt).nodes);
  await Promise.all(added.map(([type, found]) => addToPool(ctx, { ledgers, type, grows: grows(type) }, found, taken)));
  await beginGroupPools(ctx, pools, poolGroups.keys());
}

async function listNodes(
  ctx: Context<"table" | "queue" | "compute">,
  cluster: Item | undefined,
  caller: Caller,
): Promise<ComputeNode[]> {
  try {
    const listed = await ctx.compute.listNodes();
    await noteListing(ctx, cluster, true);
    return listed;
  } catch (error) {
    if (caller === "schedule") await noteListing(ctx, cluster, false);
    throw error;
  }
}

/** A pool to write to. `grows`: a group creates its machines. */
type Target = Pick<Ledger, "type" | "nodes"> & { readonly grows: boolean };

async function writePool(
  ctx: Context<"table" | "queue">,
  ledger: Target,
  found: readonly PoolNode[],
  taken: HeldByRecords,
): Promise<void> {
  if (!(await writeNodes(ctx, ledger, found, taken))) return;
  await Promise.all([planSoon(ctx, ledger.type), hintHolders(ctx, listNoticed(ledger, found))]);
}

/** Returns the items of machines whose notice began or ended with this listing. */
function listNoticed({ nodes }: Target, found: readonly PoolNode[]): NodeLedger[] {
  const listed = new Map(found.map((node) => [nodeIdentity(node), node]));
  return nodes.filter((node) => {
    const after = listed.get(nodeIdentity(node));
    return after && "interruption" in after && after.interruption?.kind !== node.interruption?.kind;
  });
}

async function addToPool(
  ctx: Context<"table" | "queue">,
  { ledgers, type, grows }: { readonly ledgers: readonly Ledger[]; readonly type: string; readonly grows: boolean },
  found: readonly PoolNode[],
  taken: HeldByRecords,
): Promise<void> {
  const isThere = ledgers.some((ledger) => ledger.type === type) || (await beginPool(ctx, type));
  // A new pool is written without reading its ledger: items that exist by now are newer than the listing.
  if (isThere) await writePool(ctx, { type, nodes: [], grows }, found, taken);
}

function knownIn(ctx: Context, ledgers: readonly Ledger[]): (type: string, node: PoolNode) => boolean {
  const items = new Set(ledgers.flatMap(({ nodes }) => nodes.map((node) => keyText(node))));
  return (type, node) => items.has(keyText(nodeLedgerKey(ctx, type, node)));
}

function uidsIn([, nodes]: readonly [type: string, nodes: readonly PoolNode[]]): string[] {
  return nodes.map(({ uid }) => uid);
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
const AT_ONCE = 50;

/** Writes the changed items, and reports whether any was written. A lost race is left to the next run. */
async function writeNodes(
  ctx: Context<"table">,
  ledger: Target,
  found: readonly PoolNode[],
  taken: HeldByRecords,
): Promise<boolean> {
  const wanted = new Map(found.map((node) => [nodeIdentity(node), node]));
  const before = new Map(ledger.nodes.map((node) => [nodeIdentity(node), node]));
  const gone = ledger.nodes.filter((node) => !wanted.has(nodeIdentity(node)));
  const changed = found.flatMap((node) => changedItem(ctx, ledger.type, node, before.get(nodeIdentity(node)), taken));
  // Each new machine lowers the number that the group may still create.
  const isThere = (node: NodeLedger | undefined) => node !== undefined && !node.gone;
  const came = new Set(ledger.grows ? changed.filter((node) => isThere(node) && !isThere(before.get(node.sk))) : []);
  const writes = [
    ...gone.map((node) => () => removeRecord(ctx, node)),
    ...changed
      .filter((item) => !came.has(item))
      .map((item) => async () => (await writeRecord(ctx, item)) !== undefined),
  ];
  let written = await writeCame(ctx, ledger.type, [...came], taken);
  for (let first = 0; first < writes.length; first += AT_ONCE) {
    const results = await Promise.all(writes.slice(first, first + AT_ONCE).map((write) => write()));
    written += results.filter((isWritten) => isWritten).length;
  }
  const wantedWrites = writes.length + came.size;
  if (written < wantedWrites) ctx.log.info("capacity raced", { pool: ledger.type, items: wantedWrites - written });
  return written > 0;
}

/**
 * Writes new machines together with `makeable`. A planner that has not seen them would grant a machine that the group
 * no longer creates; this write makes its own write conflict. Returns the number of machines written.
 */
async function writeCame(
  ctx: Context<"table">,
  type: string,
  nodes: readonly NodeLedger[],
  taken: HeldByRecords,
): Promise<number> {
  let written = 0;
  for (let first = 0; first < nodes.length; first += MOST_PUT_AT_ONCE - 1) {
    const some = nodes.slice(first, first + MOST_PUT_AT_ONCE - 1);
    const makeable = await makeableFor(ctx, type, some, taken);
    // The next run adds them.
    if (!makeable) continue;
    if (await writeRecords(ctx, [...makeable, ...some])) written += some.length;
  }
  return written;
}

/**
 * Returns the item to write with new machines, which end the shortages there. If `makeable` is damaged, the list is
 * empty, because nothing is granted from it then. Returns undefined if it has a newer format: newer workers still grant from it and add the machine.
 */
async function makeableFor(
  ctx: Context<"table">,
  type: string,
  came: readonly NodeLedger[],
  taken: HeldByRecords,
): Promise<MakeableLedger[] | undefined> {
  try {
    const whole = await withTaken(ctx, await readMakeable(ctx, type), taken);
    const zones = came.map(({ zone }) => zone);
    return whole && [{ ...whole, ...endShortages(whole, zones) }];
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return error.isNewer ? undefined : [];
  }
}

/**
 * Adds lost holdings to `makeable`: a waiting job that this machine was created for may be in no item any more.
 */
async function withTaken(
  ctx: Context<"table">,
  makeable: MakeableLedger,
  taken: HeldByRecords,
): Promise<MakeableLedger | undefined> {
  const grantIds = new Set([...makeable.granted, ...makeable.held].map(({ grant }) => grant));
  const lost = taken.of(keyText(makeable)).filter(({ grant }) => !grantIds.has(grant));
  const held = await stillHeldNowhere(ctx, lost);
  return held && { ...makeable, held: [...makeable.held, ...held] };
}

function changedItem(
  ctx: Context,
  type: string,
  node: PoolNode,
  before: NodeLedger | undefined,
  taken: HeldByRecords,
): NodeLedger[] {
  if (!before) {
    const key = nodeLedgerKey(ctx, type, node);
    const since = ctx.clock.now();
    if (taken.isUnsure(keyText(key))) {
      ctx.log.error("ledger item lost", { item: keyText(key), why: "an unreadable record may hold it" });
      return [];
    }
    const held = taken.of(keyText(key));
    return [{ ...key, writers: [], kind: "node", type, ...node, since, granted: [], held }];
  }
  const { gone: _gone, saidAt: _saidAt, unready: _unready, fault: _fault, ...rest } = before;
  const next = { ...rest, ...node };
  return sameData(next, before) ? [] : [next];
}
