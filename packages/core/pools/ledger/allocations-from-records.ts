import { listLivingKeys } from "../../admin/living.ts";
import type { Context } from "../../context.ts";
import { type Environment, toKey } from "../../environments/record/record.ts";
import { isLedgerItem, keyOfText, keyText, makeableKey, parseNodeName } from "../../store/keys.ts";
import { listLedgerItems, nodeLedgerKey, readLedgerItems, toEntry } from "./ledger.ts";
import { readByKey } from "./read-by-key.ts";
import { getHoldingPhase } from "./reconcile-ledger.ts";
import type { HeldEntry, Ledger } from "./record.ts";

export interface HeldByRecords {
  of(item: string): readonly HeldEntry[];
  /** Reports whether an unreadable record names the item, so that its holdings are unknown. */
  isUnsure(item: string): boolean;
}

export const nothingHeld: HeldByRecords = { of: () => [], isUnsure: () => false };

const READ_AT_ONCE = 300;

/**
 * Finds holdings that records have and the ledger does not. A lost ledger item is recreated with them, or its machine
 * would be granted a second time. Holdings that the ledger names anywhere are left out. It reads the record of every
 * living environment, so call it only for a machine without an item.
 */
export async function readHeldByRecords(
  ctx: Context<"table">,
  ledgers: readonly Pick<Ledger, "granted" | "held">[],
): Promise<HeldByRecords> {
  const named = new Set(ledgers.flatMap(({ granted, held }) => [...granted, ...held].map(({ id }) => id)));
  const keys = (await listLivingKeys(ctx)).map(keyText);
  const found = new Map<string, HeldEntry[]>();
  const texts: string[] = [];
  for (let first = 0; first < keys.length; first += READ_AT_ONCE) {
    const { records, unreadable } = await readByKey(ctx, keys.slice(first, first + READ_AT_ONCE));
    const broken = [...unreadable].flatMap((text) => keyOfText(text) ?? []);
    if (broken.length > 0) texts.push(...(await ctx.table.getMany(broken)).map((item) => JSON.stringify(item)));
    for (const record of records) {
      const { grant } = record.run;
      if (!grant || named.has(grant.id)) continue;
      const items = listItems(ctx, record, grant.shares);
      const entry = toHeldEntry(record, { ...grant, items });
      for (const item of new Set(items)) found.set(item, [...(found.get(item) ?? []), entry]);
    }
  }
  // Also search for the uid: a run that was granted no machine names only the node object that it is bound to.
  const isUnsure = (item: string) => texts.some((text) => text.includes(item) || text.includes(quotedUid(item)));
  return { of: (item) => found.get(item) ?? [], isUnsure };
}

function quotedUid(item: string): string {
  return JSON.stringify(item.slice(item.lastIndexOf("~") + 1));
}

/**
 * Returns the entries that a record still holds and no ledger item names. After they were read, a holding may have
 * moved from `makeable` to its machine. Returns undefined if one of the records or ledger items cannot be read.
 */
export async function stillHeldNowhere(
  ctx: Context<"table">,
  entries: readonly HeldEntry[],
): Promise<HeldEntry[] | undefined> {
  if (entries.length === 0) return [];
  const keys = entries.map(({ key }) => key);
  const { records, unreadable } = await readByKey(ctx, keys);
  if (unreadable.size > 0) return undefined;
  const items = await readLedgerItems(
    ctx,
    records.flatMap((record) => listLedgerItems(ctx, record)),
  );
  if (items.unreadable.size > 0) return undefined;
  const named = new Set(items.records.flatMap(({ granted, held }) => [...granted, ...held].map(({ grant }) => grant)));
  const holding = new Set(records.map(({ run }) => run.grant?.id));
  return entries.filter(({ grant }) => holding.has(grant) && !named.has(grant));
}

type Taken = NonNullable<Environment["run"]["grant"]>;

/** Returns the item of each share, as granted, or of the machine on which the run was placed. */
function listItems(ctx: Context, { placement, run, size }: Environment, shares: Taken["shares"]): string[] {
  const ledgers = placement.ledgers.filter((item) => isLedgerItem(size.pool, item));
  return shares.map(({ node }, rank) => {
    const machine = run.machines[rank];
    const granted = node === null ? undefined : ledgers.find((item) => parseNodeName(item) === node);
    if (granted !== undefined) return granted;
    return keyText(machine ? nodeLedgerKey(ctx, size.pool, machine) : makeableKey(size.pool));
  });
}

function toHeldEntry(record: Environment, { id, shares, at, items }: Taken & { readonly items: string[] }): HeldEntry {
  const { uid, owner, size, times } = record;
  const grant = { id, key: keyText(toKey(record)), uid, run: record.run.n, owner, size, shares, items, at };
  return { ...toEntry(grant), phase: getHoldingPhase(record), endsAt: times.endsAt };
}
