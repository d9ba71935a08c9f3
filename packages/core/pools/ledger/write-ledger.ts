import type { Context } from "../../context.ts";
import { MOST_PUT_AT_ONCE } from "../../ports/table.ts";
import { keyText } from "../../store/keys.ts";
import { sameData } from "../../store/same-data.ts";
import { type Writing, writeRecord, writeRecords } from "../../store/write-record.ts";
import { buildLedger, toEntry } from "./ledger.ts";
import type { Grant, HeldEntry, Holding, Ledger, LedgerItem, MakeableLedger, NodeLedger } from "./record.ts";

export interface Written {
  /** The resulting ledger. Items whose write was refused are as they were read. */
  readonly ledger: Ledger;
  /** True if an item had changed or a group exceeded one transaction. Plan again soon. */
  readonly isPart: boolean;
}

const AT_ONCE = 50;
const MOST_LOGGED = 200;

/**
 * Writes the items that the plan changed, each on the condition that it is unchanged. The items of a grant on several
 * machines, or of a holding that moves to its machine, are written in one transaction. A conflict loses only the grants
 * of that item (docs/architecture/admission.md).
 */
export async function writeLedger(
  ctx: Writing & Pick<Context, "log">,
  before: Ledger,
  wanted: Ledger,
): Promise<Written> {
  const changes = changesBetween(before, wanted);
  const { after, groups, isPart } = fitting(changes, wanted);
  const changed = changedItems(before, after, changes);
  const batches = listBatches(changed, groups);
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
  const newest = (item: NodeLedger) => (written.get(keyText(item)) as NodeLedger | undefined) ?? item;
  const nodes = written.size === 0 ? before.nodes : before.nodes.map(newest);
  const makeable = (written.get(keyText(before.makeable)) as MakeableLedger | undefined) ?? before.makeable;
  if (isRefused) return { ledger: buildLedger(before.pool, nodes, makeable, before.unreadable), isPart: true };
  return { ledger: { ...after, pool: before.pool, nodes, makeable }, isPart };
}

/** Writes a batch. Any other error of the table also loses only this batch's grants. */
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

interface Changes {
  /** By id, as they were. */
  readonly earlier: ReadonlyMap<string, Grant>;
  readonly later: readonly Grant[];
}

/**
 * Compares grants and holdings in their order, which a plan mostly keeps. A large pool has 100,000 entries, and a plan
 * changes a few. Moved entries count as changed.
 */
function changesBetween(before: Ledger, after: Ledger): Changes {
  const [granted, held] = [changesInOrder(before.granted, after.granted), changesInOrder(before.held, after.held)];
  return { earlier: new Map([...granted.earlier, ...held.earlier]), later: [...granted.later, ...held.later] };
}

function changesInOrder(before: readonly Grant[], after: readonly Grant[]): Changes {
  const earlier = new Map<string, Grant>();
  const later: Grant[] = [];
  let at = 0;
  for (const was of before) {
    const grant = after[at];
    if (grant === was) at += 1;
    if (grant === was) continue;
    earlier.set(was.id, was);
    if (grant?.id !== was.id) continue;
    at += 1;
    later.push(grant);
  }
  return { earlier, later: [...later, ...after.slice(at)] };
}

/** Returns the items that the plan changed, by key: items whose machine or entries differ, and torn items. */
function changedItems(before: Ledger, after: Ledger, changes: Changes): ReadonlyMap<string, LedgerItem> {
  const touched = new Set([...before.torn, ...itemsIn(changes)]);
  if (touched.size === 0 && after.nodes === before.nodes && after.makeable === before.makeable) return new Map();
  const same = new Set<LedgerItem>([...before.nodes, before.makeable]);
  const isTouched = (item: LedgerItem) => !same.has(item) || (touched.size > 0 && touched.has(keyText(item)));
  const others = [...after.nodes, after.makeable].filter(isTouched);
  if (others.length === 0) return new Map();
  const itemsBefore = itemsByKey(before);
  const wanted = new Map(others.map((item) => [keyText(item), item] as const).filter(([key]) => itemsBefore.has(key)));
  if (wanted.size === 0) return wanted;
  const getNext = itemsAfter(after, changes, wanted);
  const all = [...wanted].map(([key, item]) => [key, getNext(item)] as const);
  return new Map(all.filter(([key, next]) => !sameData(next, itemsBefore.get(key))));
}

function itemsIn({ earlier, later }: Changes): string[] {
  const isSame = (grant: Grant) => sameData(earlier.get(grant.id), grant);
  const same = new Set(later.filter(isSame).map(({ id }) => id));
  return [...earlier.values(), ...later].flatMap(({ id, items }) => (same.has(id) ? [] : items));
}

/** Returns the items with the plan's entries. An entry that another writer removed is not restored. */
function itemsAfter(
  after: Ledger,
  { earlier, later }: Changes,
  wanted: ReadonlyMap<string, LedgerItem>,
): (item: LedgerItem) => LedgerItem {
  const granted = byItem(after.granted, wanted);
  const held = byItem(after.held, wanted);
  const changed = new Set(later);
  const itemsBefore = (grant: Grant) => (changed.has(grant) ? earlier.get(grant.id) : grant)?.items ?? [];
  return (item) => {
    const key = keyText(item);
    const here = new Set([...item.granted, ...item.held].map(({ grant }) => grant));
    // It was read here, or is new here. If its items named this one before but it was not here, another writer removed
    // it.
    const isRightHere = (grant: Grant) => here.has(grant.id) || !itemsBefore(grant).includes(key);
    return {
      ...item,
      granted: (granted.get(key) ?? []).filter(isRightHere).map(toEntry),
      held: (held.get(key) ?? []).filter(isRightHere).map(toHeldEntry),
    };
  };
}

/** Groups the grants by wanted item, sorted by id, so that an unchanged item compares equal. */
function byItem<One extends Grant>(
  grants: readonly One[],
  wanted: ReadonlyMap<string, LedgerItem>,
): ReadonlyMap<string, readonly One[]> {
  const found = new Map<string, One[]>();
  const there = grants.filter(({ items }) => items.some((item) => wanted.has(item)));
  for (const grant of there.sort((a, b) => (a.id < b.id ? -1 : 1))) {
    for (const item of new Set(grant.items)) {
      const entries = found.get(item);
      if (entries) entries.push(grant);
      else found.set(item, [grant]);
    }
  }
  return found;
}

function toHeldEntry(holding: Holding): HeldEntry {
  return { ...toEntry(holding), phase: holding.phase, endsAt: holding.endsAt };
}

/** Leaves out changes that would exceed one transaction. `groups` maps each item to the items written with it. */
function fitting(
  { earlier, later }: Changes,
  wanted: Ledger,
): { after: Ledger; groups: Map<string, Set<string>>; isPart: boolean } {
  const groups = new Map<string, Set<string>>();
  const undone = new Set<string>();
  for (const grant of later) {
    const was = earlier.get(grant.id);
    if (was && sameData(was.items, grant.items)) continue;
    if (!join(groups, new Set([...(was?.items ?? []), ...grant.items]))) undone.add(grant.id);
  }
  if (undone.size === 0) return { after: wanted, groups, isPart: false };
  const granted = wanted.granted.filter(({ id }) => !undone.has(id));
  const held = wanted.held.map((holding) => (undone.has(holding.id) ? (earlier.get(holding.id) as Holding) : holding));
  return { after: { ...wanted, granted, held }, groups, isPart: true };
}

/** Groups these items with all they are grouped with. Returns false if that exceeds one transaction. */
function join(groups: Map<string, Set<string>>, items: ReadonlySet<string>): boolean {
  const together = new Set([...items].flatMap((item) => [item, ...(groups.get(item) ?? [])]));
  if (together.size > MOST_PUT_AT_ONCE) return false;
  for (const item of together) groups.set(item, together);
  return true;
}

function listBatches(
  changed: ReadonlyMap<string, LedgerItem>,
  groups: ReadonlyMap<string, Set<string>>,
): LedgerItem[][] {
  const batches = new Map<Set<string> | string, LedgerItem[]>();
  for (const [key, item] of changed) {
    const group = groups.get(key) ?? key;
    const batch = batches.get(group);
    if (batch) batch.push(item);
    else batches.set(group, [item]);
  }
  return [...batches.values()];
}
