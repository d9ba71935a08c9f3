import type { Context } from "../../context.ts";
import { MOST_PUT_AT_ONCE } from "../../ports/table.ts";
import { keyText, nodeIdentity } from "../../store/keys.ts";
import { sameData } from "../../store/same-data.ts";
import { Unreadable } from "../../store/unreadable.ts";
import { removeRecord, writeRecord, writeRecords } from "../../store/write-record.ts";
import { type HeldByRecords, stillHeldNowhere } from "../ledger/allocations-from-records.ts";
import { nodeLedgerKey, readMakeable } from "../ledger/ledger.ts";
import type { Ledger, MakeableLedger, NodeLedger, PoolNode } from "../ledger/record.ts";
import { endShortages } from "../ledger/shortage.ts";
import { planSoon } from "../plan/plan-soon.ts";
import { hintHolders } from "./machine-notice.ts";

/** A pool to write to. `grows`: a group creates its machines. */
export type Target = Pick<Ledger, "type" | "nodes"> & { readonly grows: boolean };

/**
 * Writes the machines of a pool into its ledger, and plans the pool if any changed. Returns false if another writer
 * changed some of the items first.
 */
export async function writePool(
  ctx: Context<"table" | "queue">,
  ledger: Target,
  found: readonly PoolNode[],
  taken: HeldByRecords,
): Promise<boolean> {
  const { written, raced } = await writeNodes(ctx, ledger, found, taken);
  if (written > 0) await Promise.all([planSoon(ctx, ledger.type), hintHolders(ctx, listNoticed(ledger, found))]);
  return raced === 0;
}

/** Returns the items of machines whose notice began or ended with this listing. */
function listNoticed({ nodes }: Target, found: readonly PoolNode[]): NodeLedger[] {
  const listed = new Map(found.map((node) => [nodeIdentity(node), node]));
  return nodes.filter((node) => {
    const after = listed.get(nodeIdentity(node));
    return after && "interruption" in after && after.interruption?.kind !== node.interruption?.kind;
  });
}

const AT_ONCE = 50;

/** Writes the changed items. Returns how many it wrote, and how many another writer changed first. */
async function writeNodes(
  ctx: Context<"table">,
  ledger: Target,
  found: readonly PoolNode[],
  taken: HeldByRecords,
): Promise<{ readonly written: number; readonly raced: number }> {
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
  const raced = writes.length + came.size - written;
  if (raced > 0) ctx.log.info("capacity raced", { pool: ledger.type, items: raced });
  return { written, raced };
}

/**
 * Writes new machines together with `makeable`. A planner that has not seen them would grant a machine that the group
 * no longer creates; this write makes the planner's write conflict. Returns the number of machines written.
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
    // The next listing adds them.
    if (!makeable) continue;
    if (await writeRecords(ctx, [...makeable, ...some])) written += some.length;
  }
  return written;
}

/**
 * Returns the item to write with new machines, which end the shortages of their zones. If `makeable` is damaged, the list
 * is empty, because no plan grants from it. Returns undefined if `makeable` has a newer format: newer workers still grant
 * from it and add the machine.
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
