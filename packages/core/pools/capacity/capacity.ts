import type { Context } from "../../context.ts";
import { writeRunMarks } from "../../environments/record/run/run-marks.ts";
import { poolTypes } from "../../fleet.ts";
import type { ComputeNode } from "../../ports/compute.ts";
import { type Item, MOST_PUT_AT_ONCE } from "../../ports/table.ts";
import { noteListing } from "../../reconciler/cluster-state.ts";
import { clusterKey, keyText, nodeIdentity, poolKey } from "../../store/keys.ts";
import { readEach, unlessUnreadable } from "../../store/readable.ts";
import { sameData } from "../../store/same-data.ts";
import { Unreadable } from "../../store/unreadable.ts";
import { removeRecord, writeRecord, writeRecords } from "../../store/write-record.ts";
import { carryAdmission, closureOf, readAdmission } from "../admission/admission.ts";
import { beginGroupPools, beginPool } from "../admission/begin-pool.ts";
import { type HeldByRecords, nothingHeld, readHeldByRecords, stillHeldNowhere } from "../ledger/held-by-records.ts";
import { nodeLedgerKey, readLedger, readMakeable } from "../ledger/ledger.ts";
import { parsePool } from "../ledger/parse.ts";
import type { Ledger, MakeableLedger, NodeLedger, PoolNode } from "../ledger/record.ts";
import { planSoon } from "../plan/plan-soon.ts";
import { groupOf } from "./groups.ts";
import { readGoneNodes, WORD_MS } from "./node-gone.ts";
import { type Listing, poolNodes } from "./pool-nodes.ts";

/**
 * Compares the machines that the cluster has, one listing for all types, with the ledger items, and has those pools
 * planned whose machines changed. The ledger is read before the cluster: what came or went between the two was written by
 * somebody else, and is left to the next run. A pool is created for its node group or its first machine. It is closed until
 * the operator's wish was carried into it, because a wish that found no pool is seen then. Into the others it carries what
 * was left undone.
 */
export async function refreshCapacity(ctx: Context<"table" | "queue" | "compute">): Promise<void> {
  const items = await ctx.table.getMany([...poolTypes.map(poolKey), clusterKey]);
  const cluster = items.find(({ pk }) => pk === clusterKey.pk);
  const pools = items.filter((item) => item !== cluster);
  const heads = readEach(ctx, pools, parsePool);
  const ledgers = await Promise.all(heads.records.map((pool) => readLedger(ctx, pool)));
  const [startedAt, listedAt] = [ctx.clock.monotonic(), ctx.clock.now()];
  const listed = await listNodes(ctx, cluster);
  const said = saidInItems(ctx, ledgers);
  const { nodes, leftOut } = poolNodes(listed, ledgers, said);
  if (leftOut.length > 0)
    ctx.log.warn("nodes left out", { count: leftOut.length, nodes: leftOut.slice(0, MOST_LOGGED) });
  const unread = listed.filter((node) => node.unread).length;
  if (unread > 0) ctx.log.warn("capacity listed in part", { nodes: listed.length, unread });
  // An old listing does not matter here: marks have their own time, and the operator's wishes do not depend on it.
  await Promise.all([carryClosures(ctx, ledgers), writeRunMarks(ctx, listed, listedAt)]);
  const tookMs = ctx.clock.monotonic() - startedAt;
  if (tookMs > TOO_OLD_MS) {
    const seconds = Math.round(tookMs / 1000);
    return ctx.log.error("capacity listed too slowly", { seconds, nodes: listed.length });
  }
  const isKnown = knownIn(ctx, ledgers);
  await Promise.all(
    ledgers.map((ledger) => {
      const found = (nodes.get(ledger.type) ?? []).filter((node) => isKnown(ledger.type, node));
      return writePool(ctx, ledger, found, nothingHeld);
    }),
  );
  const newIn = (all: Listing["nodes"]) =>
    [...all].flatMap(([type, found]): [string, PoolNode[]][] => {
      const added = found.filter((node) => !isKnown(type, node));
      return added.length === 0 || heads.unreadable.has(keyText(poolKey(type))) ? [] : [[type, added]];
    });
  if (newIn(nodes).length === 0) return beginGroupPools(ctx, pools);
  // After the others: so much is read for these that it may fail. Not judged by how long it takes: where very many live,
  // no machine that comes would ever be taken.
  const taken = await readHeldByRecords(ctx, ledgers);
  // Last: what the operator says of a machine that has no item is in no item, and is not read again once it has one.
  const words = await readGoneNodes(ctx, newIn(nodes).flatMap(uidsIn), ctx.clock.now());
  const added = newIn(poolNodes(listed, ledgers, new Map([...words, ...said])).nodes);
  await Promise.all(added.map(([type, found]) => addToPool(ctx, ledgers, type, found, taken)));
  await beginGroupPools(ctx, pools);
}

/** Lists the machines, and notes whether the cluster answered. */
async function listNodes(
  ctx: Context<"table" | "queue" | "compute">,
  cluster: Item | undefined,
): Promise<ComputeNode[]> {
  try {
    const listed = await ctx.compute.listNodes();
    await noteListing(ctx, cluster, true);
    return listed;
  } catch (error) {
    await noteListing(ctx, cluster, false);
    throw error;
  }
}

/** Writes what changed in one pool, and has it planned. */
async function writePool(
  ctx: Context<"table" | "queue">,
  ledger: Pick<Ledger, "type" | "nodes">,
  found: readonly PoolNode[],
  taken: HeldByRecords,
): Promise<void> {
  if (await writeNodes(ctx, ledger, found, taken)) await planSoon(ctx, ledger.type);
}

/** Machines that have no ledger item. */
async function addToPool(
  ctx: Context<"table" | "queue">,
  ledgers: readonly Ledger[],
  type: string,
  found: readonly PoolNode[],
  taken: HeldByRecords,
): Promise<void> {
  const isThere = ledgers.some((ledger) => ledger.type === type);
  const ledger = isThere ? { type, nodes: [] } : await begin(ctx, type);
  if (ledger) await writePool(ctx, ledger, found, taken);
}

/** Whether a machine has a ledger item. */
function knownIn(ctx: Context, ledgers: readonly Ledger[]): (type: string, node: PoolNode) => boolean {
  const items = new Set(ledgers.flatMap(({ nodes }) => nodes.map((node) => keyText(node))));
  return (type, node) => items.has(keyText(nodeLedgerKey(ctx, type, node)));
}

function uidsIn([, nodes]: readonly [type: string, nodes: readonly PoolNode[]]): string[] {
  return nodes.map(({ uid }) => uid);
}

/** A pool whose ledger is not read: what is there by now came after the cluster was listed. */
async function begin(
  ctx: Context<"table" | "queue">,
  type: string,
): Promise<Pick<Ledger, "type" | "nodes"> | undefined> {
  return (await beginPool(ctx, type)) && { type, nodes: [] };
}

/** Nobody knows what the operator wants where that cannot be read: what is closed stays closed. */
async function carryClosures(ctx: Context<"table" | "queue">, ledgers: readonly Ledger[]): Promise<void> {
  const admission = await unlessUnreadable(ctx, () => readAdmission(ctx));
  const other = ledgers.filter(({ type, pool: { closed } }) => admission && closureOf(admission, type) !== closed);
  await Promise.all(other.map(({ type }) => carryAdmission(ctx, type)));
}

/** What the operator said of the machines that have ledger items, by uid. */
function saidInItems(ctx: Context, ledgers: readonly Ledger[]): ReadonlyMap<string, number> {
  const now = ctx.clock.now();
  const known = ledgers.flatMap(({ nodes }) => nodes.map(({ uid, saidAt }) => [uid, saidAt] as const));
  return new Map(
    known.flatMap(([uid, at]): [string, number][] => (at !== undefined && now - at < WORD_MS ? [[uid, at]] : [])),
  );
}

const MOST_LOGGED = 20;
/**
 * A refresh begins each minute. One that may still write when the next one has begun could undo what that wrote, so an
 * older listing is dropped. On AWS the function has 50 s (functions/schedules/capacity.ts): the rest is for the writes.
 */
const TOO_OLD_MS = 40_000;
/** So many items are written at once. */
const AT_ONCE = 50;

/**
 * Writes what changed, item by item. A lost race is left to the next run, a minute later: the winner may know better.
 * Answers whether anything was written.
 */
async function writeNodes(
  ctx: Context<"table">,
  ledger: Pick<Ledger, "type" | "nodes">,
  found: readonly PoolNode[],
  taken: HeldByRecords,
): Promise<boolean> {
  const wanted = new Map(found.map((node) => [nodeIdentity(node), node]));
  const before = new Map(ledger.nodes.map((node) => [nodeIdentity(node), node]));
  const gone = ledger.nodes.filter((node) => !wanted.has(nodeIdentity(node)));
  const changed = found.flatMap((node) => changedItem(ctx, ledger.type, node, before.get(nodeIdentity(node)), taken));
  // Each of these leaves one machine less for the group to make.
  const isThere = (node: NodeLedger | undefined) => node !== undefined && !node.gone;
  const came = new Set(
    groupOf(ctx, ledger.type) ? changed.filter((node) => isThere(node) && !isThere(before.get(node.sk))) : [],
  );
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
 * Writes machines that came together with `makeable`, of which as a rule nothing but its writer changes: a planner that
 * has not seen them would give somebody else a machine in their place, of which the group makes one less now, and loses
 * that write. Answers how many were written.
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
    const makeable = await makeableFor(ctx, type, taken);
    // Left to the next run.
    if (!makeable) continue;
    if (await writeRecords(ctx, [...makeable, ...some])) written += some.length;
  }
  return written;
}

/**
 * What is written with a machine that came: nothing where `makeable` is damaged, since nobody is given anything in it
 * then. Undefined: it cannot be written now. In one of a newer format newer workers go on giving, so the machine is
 * theirs to add.
 */
async function makeableFor(
  ctx: Context<"table">,
  type: string,
  taken: HeldByRecords,
): Promise<MakeableLedger[] | undefined> {
  try {
    const whole = await withTaken(ctx, await readMakeable(ctx, type), taken);
    return whole && [whole];
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return error.isNewer ? undefined : [];
  }
}

/** Who waits for a machine may be who this one came for, and be in no item since that one was lost. */
async function withTaken(
  ctx: Context<"table">,
  makeable: MakeableLedger,
  taken: HeldByRecords,
): Promise<MakeableLedger | undefined> {
  const known = new Set([...makeable.granted, ...makeable.held].map(({ grant }) => grant));
  const lost = taken.of(keyText(makeable)).filter(({ grant }) => !known.has(grant));
  const held = await stillHeldNowhere(ctx, lost);
  return held && (held.length === 0 ? makeable : { ...makeable, held: [...makeable.held, ...held] });
}

/** The ledger item as the cluster shows its machine now; nothing where it says that already. */
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
    // Given to nobody until that record can be read.
    if (taken.isUnsure(keyText(key))) {
      ctx.log.error("ledger item lost", { item: keyText(key), why: "a record that cannot be read may hold it" });
      return [];
    }
    const held = taken.of(keyText(key));
    return [{ ...key, writers: [], kind: "node", type, ...node, since, granted: [], held }];
  }
  const { gone: _gone, saidAt: _saidAt, unready: _unready, ...rest } = before;
  const next = { ...rest, ...node };
  return sameData(next, before) ? [] : [next];
}
