import type { Context } from "../context.ts";
import { keyText } from "../keys.ts";
import { MOST_PUT_AT_ONCE } from "../ports/table.ts";
import { sameData } from "../same-data.ts";
import { type Writing, writeRecord, writeRecords } from "../write-record.ts";
import { entryOf, ledgerOf } from "./ledger.ts";
import type { Grant, HeldEntry, Holding, Ledger, LedgerItem, MakeableLedger, NodeLedger } from "./record.ts";

/** What became of a plan once it was written. */
export interface Written {
  /** The ledger as it stands now: items whose write was refused are as they were read. */
  readonly ledger: Ledger;
  /** Whether some item was not as it was read, or too much belonged together: the next plan is wanted soon. */
  readonly isPart: boolean;
}

/** So many items are written at once. */
const AT_ONCE = 50;
const MOST_LOGGED = 200;

/**
 * Writes the items that the plan changed, each on the condition that it is as it was read; those of a grant of several
 * machines, or of a holding that moves to its machine, all or none. An item that somebody else wrote meanwhile costs
 * what was granted there and nothing else (docs/architecture.md#admission).
 */
export async function writeLedger(
  ctx: Writing & Pick<Context, "log">,
  before: Ledger,
  wanted: Ledger,
): Promise<Written> {
  const { after, groups, isPart } = fitting(before, wanted);
  const read = itemsByKey(before);
  const changed = new Map<string, LedgerItem>();
  const nextOf = itemsAfter(before, after);
  for (const [key, item] of itemsByKey(after)) {
    const next = nextOf(item);
    if (!sameData(next, read.get(key))) changed.set(key, next);
  }
  const batches = batchesOf(changed, groups);
  const written = new Map<string, LedgerItem>();
  let isRefused = false;
  for (let first = 0; first < batches.length; first += AT_ONCE) {
    await Promise.all(
      batches.slice(first, first + AT_ONCE).map(async (batch) => {
        if (await isWritten(ctx, batch)) for (const item of batch) written.set(keyText(item), item);
        else isRefused = true;
      }),
    );
  }
  const all = [...read].map(([key, item]) => written.get(key) ?? item);
  const nodes = all.filter((item): item is NodeLedger => item.kind === "node");
  const makeable = all.find((item): item is MakeableLedger => item.kind === "makeable") ?? before.makeable;
  return { ledger: ledgerOf(before.pool, nodes, makeable, before.unreadable), isPart: isPart || isRefused };
}

/** What the table refuses for any other reason costs its own grants as well, and no other's. */
async function isWritten(ctx: Writing & Pick<Context, "log">, batch: readonly LedgerItem[]): Promise<boolean> {
  try {
    return await writeBatch(ctx, batch);
  } catch (error) {
    ctx.log.error("ledger not written", { items: batch.map(keyText), error: String(error).slice(0, MOST_LOGGED) });
    return false;
  }
}

async function writeBatch(ctx: Writing, batch: readonly LedgerItem[]): Promise<boolean> {
  const [only, ...others] = batch;
  if (only && others.length === 0) return (await writeRecord(ctx, only)) !== undefined;
  return writeRecords(ctx, batch);
}

function itemsByKey({ nodes, makeable }: Ledger): Map<string, LedgerItem> {
  return new Map([...nodes, makeable].map((item) => [keyText(item), item]));
}

/** Items with what the plan leaves there and adds: what another item of the same grant lost already is not put back. */
function itemsAfter(before: Ledger, after: Ledger): (item: LedgerItem) => LedgerItem {
  const earlier = grantsById(before);
  const granted = byItem(after.granted);
  const held = byItem(after.held);
  return (item) => {
    const key = keyText(item);
    const here = new Set([...item.granted, ...item.held].map(({ grant }) => grant));
    // It was read here, or comes here now. One that its items named here and that was not, another writer has dropped.
    const isRightHere = ({ id }: Grant) => here.has(id) || !earlier.get(id)?.items.includes(key);
    return {
      ...item,
      granted: (granted.get(key) ?? []).filter(isRightHere).map(entryOf),
      held: (held.get(key) ?? []).filter(isRightHere).map(heldEntryOf),
    };
  };
}

/** Sorts the grants, so that an item in which nothing changed is the same as before. */
function byItem<One extends Grant>(grants: readonly One[]): Map<string, One[]> {
  const found = new Map<string, One[]>();
  for (const grant of grants.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
    for (const item of new Set(grant.items)) {
      const there = found.get(item);
      if (there) there.push(grant);
      else found.set(item, [grant]);
    }
  }
  return found;
}

function heldEntryOf(holding: Holding): HeldEntry {
  return { ...entryOf(holding), phase: holding.phase, endsAt: holding.endsAt };
}

function grantsById({ granted, held }: Ledger): Map<string, Grant> {
  return new Map([...granted, ...held].map((grant) => [grant.id, grant]));
}

/** The plan without what would make more than one transaction can hold. `groups`: which items are written together. */
function fitting(before: Ledger, wanted: Ledger): { after: Ledger; groups: Map<string, Set<string>>; isPart: boolean } {
  const earlier = grantsById(before);
  const groups = new Map<string, Set<string>>();
  const undone = new Set<string>();
  for (const grant of [...wanted.granted, ...wanted.held]) {
    const was = earlier.get(grant.id);
    if (was && sameData(was.items, grant.items)) continue;
    if (!join(groups, new Set([...(was?.items ?? []), ...grant.items]))) undone.add(grant.id);
  }
  if (undone.size === 0) return { after: wanted, groups, isPart: false };
  const granted = wanted.granted.filter(({ id }) => !undone.has(id));
  const held = wanted.held.map((holding) => (undone.has(holding.id) ? (earlier.get(holding.id) as Holding) : holding));
  return { after: { ...wanted, granted, held }, groups, isPart: true };
}

/** Has these written together, with what each of them is written with already; false where that is too much. */
function join(groups: Map<string, Set<string>>, items: ReadonlySet<string>): boolean {
  const together = new Set([...items].flatMap((item) => [item, ...(groups.get(item) ?? [])]));
  if (together.size > MOST_PUT_AT_ONCE) return false;
  for (const item of together) groups.set(item, together);
  return true;
}

function batchesOf(changed: ReadonlyMap<string, LedgerItem>, groups: ReadonlyMap<string, Set<string>>): LedgerItem[][] {
  const batches = new Map<Set<string> | string, LedgerItem[]>();
  for (const [key, item] of changed) {
    const group = groups.get(key) ?? key;
    const batch = batches.get(group);
    if (batch) batch.push(item);
    else batches.set(group, [item]);
  }
  return [...batches.values()];
}
