import { type ComputeNode, type Context, MOST_PUT_AT_ONCE } from "../context.ts";
import { poolTypes } from "../fleet.ts";
import { keyText, nodeIdentity, poolKey } from "../keys.ts";
import { readEach, unlessUnreadable } from "../readable.ts";
import { sameData } from "../same-data.ts";
import { removeRecord, writeRecord, writeRecords } from "../write-record.ts";
import { carryAdmission, closureOf, readAdmission } from "./admission.ts";
import { beginPool } from "./begin-pool.ts";
import { groupOf } from "./groups.ts";
import { type HeldByRecords, nothingHeld, readHeldByRecords } from "./held-by-records.ts";
import { nodeLedgerKey, readLedger, readMakeable } from "./ledger.ts";
import { readGoneNodes, WORD_MS } from "./node-gone.ts";
import { parsePool } from "./parse.ts";
import { planSoon } from "./plan-soon.ts";
import { poolNodes } from "./pool-nodes.ts";
import type { Ledger, MakeableLedger, NodeLedger, PoolNode } from "./record.ts";

/**
 * Compares the machines that the cluster has, one listing for all types, with the ledger items, and has those pools
 * planned whose machines changed. The ledger is read before the cluster: what came or went between the two was written by
 * somebody else, and is left to the next run. A pool comes into being with its first machine, closed until it was carried
 * what the operator wants: a wish that found no pool is seen then. Into the others it carries what was left undone.
 */
export async function refreshCapacity(ctx: Context<"table" | "queue" | "compute">): Promise<void> {
  const heads = readEach(ctx, await ctx.table.getMany(poolTypes.map(poolKey)), parsePool);
  const ledgers = await Promise.all(heads.records.map((pool) => readLedger(ctx, pool)));
  const startedAt = ctx.clock.monotonic();
  const listed = await ctx.compute.listNodes();
  const said = await saidGone(ctx, listed, ledgers);
  const { nodes, leftOut } = poolNodes(listed, ledgers, said);
  if (leftOut.length > 0)
    ctx.log.warn("nodes left out", { count: leftOut.length, nodes: leftOut.slice(0, MOST_LOGGED) });
  // Two refreshes may overtake each other: what one of them saw long ago must not undo what the other wrote.
  if (ctx.clock.monotonic() - startedAt > TOO_OLD_MS) return ctx.log.warn("capacity listed too slowly");
  // Not judged by how long it takes: where very many live, no machine that comes would ever be taken.
  const readableOnes = [...nodes].filter(([type]) => !heads.unreadable.has(keyText(poolKey(type))));
  const taken = await takenOnNew(ctx, readableOnes, ledgers);
  await carryClosures(ctx, ledgers);
  const known = new Map(ledgers.map((ledger) => [ledger.type, ledger]));
  await Promise.all(
    poolTypes.map(async (type) => {
      const found = nodes.get(type) ?? [];
      if (heads.unreadable.has(keyText(poolKey(type)))) return;
      const ledger = known.get(type) ?? (found.length > 0 ? await begin(ctx, type) : undefined);
      if (!ledger) return;
      if (await writeNodes(ctx, ledger, found, taken)) await planSoon(ctx, type);
    }),
  );
}

/** What records hold on machines of these pools that have no ledger item: an item may have been lost. */
async function takenOnNew(
  ctx: Context<"table">,
  listed: readonly (readonly [type: string, nodes: readonly PoolNode[]])[],
  ledgers: readonly Ledger[],
): Promise<HeldByRecords> {
  const items = new Set(ledgers.flatMap(({ nodes }) => nodes.map((node) => keyText(node))));
  const isNew = listed.some(([type, nodes]) =>
    nodes.some((node) => !items.has(keyText(nodeLedgerKey(ctx, type, node)))),
  );
  return isNew ? readHeldByRecords(ctx, ledgers) : nothingHeld;
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

/** The ledger items know what the operator said of their nodes; of a node that is new to them it is read. */
async function saidGone(
  ctx: Context<"table">,
  listed: readonly ComputeNode[],
  ledgers: readonly Ledger[],
): Promise<ReadonlyMap<string, number>> {
  const now = ctx.clock.now();
  const known = new Map(ledgers.flatMap(({ nodes }) => nodes.map((node) => [node.uid, node.saidAt] as const)));
  const fresh = listed.map(({ uid }) => uid).filter((uid) => !known.has(uid));
  const said = new Map(await readGoneNodes(ctx, fresh, now));
  for (const [uid, at] of known) if (at !== undefined && now - at < WORD_MS) said.set(uid, at);
  return said;
}

const MOST_LOGGED = 20;
const TOO_OLD_MS = 20_000;
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
 * Writes machines that came together with `makeable`, of which as a rule nothing but its writer changes: a planner that has not
 * seen them would give somebody else a machine in their place, of which the group makes one less now, and loses that
 * write. Answers how many were written.
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
    // Nobody is given anything in one that cannot be read.
    const makeable = await unlessUnreadable(ctx, () => readMakeable(ctx, type));
    const items = makeable ? [withTaken(makeable, taken), ...some] : some;
    if (await writeRecords(ctx, items)) written += some.length;
  }
  return written;
}

/** Who waits for a machine may be who this one came for, and be in no item since that one was lost. */
function withTaken(makeable: MakeableLedger, taken: HeldByRecords): MakeableLedger {
  const known = new Set([...makeable.granted, ...makeable.held].map(({ grant }) => grant));
  const lost = taken.of(keyText(makeable)).filter(({ grant }) => !known.has(grant));
  return lost.length === 0 ? makeable : { ...makeable, held: [...makeable.held, ...lost] };
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
  const { gone: _gone, saidAt: _saidAt, ...rest } = before;
  const next = { ...rest, ...node };
  return sameData(next, before) ? [] : [next];
}
