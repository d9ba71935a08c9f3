import { listLivingKeys } from "../../admin/living.ts";
import type { Context } from "../../context.ts";
import { type Environment, keyOf } from "../../environments/record/record.ts";
import { isLedgerOf, keyOfText, keyText, makeableKey, nodeNameOf } from "../../store/keys.ts";
import { entryOf, ledgerItemsOf, nodeLedgerKey, readLedgerItems } from "./ledger.ts";
import { readNamed } from "./named.ts";
import type { HeldEntry, Ledger } from "./record.ts";
import { phaseOf } from "./settle.ts";

/** What is known of ledger items from records alone. */
export interface HeldByRecords {
  /** What is held in an item of this key. */
  of(item: string): readonly HeldEntry[];
  /** Whether a record that cannot be read names it: then nobody knows. */
  isUnsure(item: string): boolean;
}

/** What records hold where no item was lost. */
export const nothingHeld: HeldByRecords = { of: () => [], isUnsure: () => false };

/** So many records are in memory at once, and asked of the table at once. */
const READ_AT_ONCE = 300;

/**
 * What records hold in ledger items of which the ledger knows nothing: an item that was lost is made anew with it, or its
 * machine would be given a second time. What the ledger names anywhere is left as it is there. Reads the record of
 * everybody who is not done, so it is asked only where a machine has no item.
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
    const { records, unreadable } = await readNamed(ctx, keys.slice(first, first + READ_AT_ONCE));
    const broken = [...unreadable].flatMap((text) => keyOfText(text) ?? []);
    if (broken.length > 0) texts.push(...(await ctx.table.getMany(broken)).map((item) => JSON.stringify(item)));
    for (const record of records) {
      const { grant } = record.run;
      if (!grant || named.has(grant.id)) continue;
      const items = itemsOf(ctx, record, grant.shares);
      const entry = heldEntryOf(record, { ...grant, items });
      for (const item of new Set(items)) found.set(item, [...(found.get(item) ?? []), entry]);
    }
  }
  // Looks for the uid as well: a run that was granted no machine names only the node object that it is bound to.
  const isUnsure = (item: string) => texts.some((text) => text.includes(item) || text.includes(quotedUid(item)));
  return { of: (item) => found.get(item) ?? [], isUnsure };
}

function quotedUid(item: string): string {
  return JSON.stringify(item.slice(item.lastIndexOf("~") + 1));
}

/**
 * Those of the entries whose records hold that still and no ledger item says so: since they were read, one may have moved
 * from the machines still to be made to its own. Undefined: one of them, or of their ledger items, cannot be read, so
 * nobody knows which its own is, or whether it is held there already.
 */
export async function stillHeldNowhere(
  ctx: Context<"table">,
  entries: readonly HeldEntry[],
): Promise<HeldEntry[] | undefined> {
  if (entries.length === 0) return [];
  const keys = entries.map(({ key }) => key);
  const { records, unreadable } = await readNamed(ctx, keys);
  if (unreadable.size > 0) return undefined;
  const items = await readLedgerItems(
    ctx,
    records.flatMap((record) => ledgerItemsOf(ctx, record)),
  );
  if (items.unreadable.size > 0) return undefined;
  const named = new Set(items.records.flatMap(({ granted, held }) => [...granted, ...held].map(({ grant }) => grant)));
  const holding = new Set(records.map(({ run }) => run.grant?.id));
  return entries.filter(({ grant }) => holding.has(grant) && !named.has(grant));
}

type Taken = NonNullable<Environment["run"]["grant"]>;

/** The item of each share: as its grant named it, or that of the machine on which a run was put that was granted none. */
function itemsOf(ctx: Context, { placement, run, size }: Environment, shares: Taken["shares"]): string[] {
  const ledgers = placement.ledgers.filter((item) => isLedgerOf(size.pool, item));
  return shares.map(({ node }, rank) => {
    const machine = run.machines[rank];
    const granted = node === null ? undefined : ledgers.find((item) => nodeNameOf(item) === node);
    if (granted !== undefined) return granted;
    return keyText(machine ? nodeLedgerKey(ctx, size.pool, machine) : makeableKey(size.pool));
  });
}

function heldEntryOf(record: Environment, { id, shares, at, items }: Taken & { readonly items: string[] }): HeldEntry {
  const { uid, owner, size, times } = record;
  const grant = { id, key: keyText(keyOf(record)), uid, run: record.run.n, owner, size, shares, items, at };
  return { ...entryOf(grant), phase: phaseOf(record), endsAt: times.endsAt };
}
