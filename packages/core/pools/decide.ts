import { type Environment, isWaiting, keyOf } from "../environments/record/record.ts";
import { keyText } from "../keys.ts";
import type { Share } from "../ports/compute.ts";
import { sameData } from "../same-data.ts";
import type { PlannerContext } from "../worker.ts";
import type { Candidate } from "./lines.ts";
import { readNamed } from "./named.ts";
import { type Plan, type PlanInput, plan } from "./plan.ts";
import { inputOf, type Outset, usableNodes } from "./plan-input.ts";
import type { Grant, Holding, Ledger } from "./record.ts";
import { readUsed, type Used } from "./used.ts";
import { candidateOf, readWaiting, type WhoWaits } from "./waiting.ts";

/** What a plan gives, over a ledger that was compared with its records, and what it says of those who wait. */
export interface Decision {
  /** The ledger with the new grants. */
  readonly ledger: Ledger;
  /** What the plan was made of. */
  readonly input: PlanInput;
  readonly planned: Plan;
  readonly list: WhoWaits;
  readonly used: Used;
  /** The keys of those who were chosen, and whose records cannot be read. */
  readonly unread: ReadonlySet<string>;
}

/** Plans who is given what now. Writes nothing. */
export async function decideGrants(
  ctx: PlannerContext,
  settled: Ledger,
  named: readonly Environment[],
  returned: readonly Holding[],
  now: number,
): Promise<Decision> {
  const list = await readWaiting(ctx, settled, named);
  const owners = list.candidates.map(({ owner }) => owner);
  const used = await readUsed(ctx, settled.type, owners, returned, now);
  const { grants, ...found } = await planVerified(ctx, { ledger: settled, list, used: used.owners }, named, now);
  return { ledger: { ...settled, granted: [...settled.granted, ...grants] }, ...found, list, used };
}

/** How many plans are made of all who may wait, each because one that the one before chose did not wait any more. */
const PLANS = 4;
/** So many of those next in order are read as well once one was not what the index says: some stay unreadable for long. */
const READ_AHEAD = 100;

/**
 * The index only proposes: whoever is chosen is read, consistently, before it is granted anything. Where too many of the
 * chosen turn out not to wait, the last plan is one of those alone who were read, the first in line among them: what is
 * kept for it stays kept.
 */
async function planVerified(
  ctx: PlannerContext,
  outset: Outset,
  named: readonly Environment[],
  now: number,
): Promise<Pick<Decision, "input" | "planned" | "unread"> & { readonly grants: Grant[] }> {
  const unread = new Set(outset.list.unread);
  const verified = new Map(named.map((record) => [keyText(keyOf(record)), record]));
  const head = outset.ledger.pool.head?.uid;
  let waiting: readonly Candidate[] = outset.list.candidates;
  for (let tries = 0; ; tries++) {
    const isLast = tries === PLANS;
    if (isLast) waiting = waiting.filter(({ key }) => verified.has(key));
    const input = inputOf(ctx, outset, waiting, now);
    const planned = plan(input);
    const chosen = new Map(planned.grants.map((grant) => [grant.uid, grant.shares]));
    const next = new Set(tries === 0 ? [] : planned.places.slice(0, READ_AHEAD).map(({ uid }) => uid));
    // What is kept for it must not be kept for one that cannot be read.
    if (head !== undefined) next.add(head);
    const checked = waiting.filter(({ uid }) => chosen.has(uid) || next.has(uid));
    const missing = checked.map(({ key }) => key).filter((key) => !verified.has(key));
    const { records, unreadable } = await readNamed(ctx, missing);
    for (const record of records) verified.set(keyText(keyOf(record)), record);
    for (const key of unreadable) unread.add(key);
    const changed = changedSince(checked, verified, outset.ledger.type);
    if (isLast || changed.size === 0) {
      const itemOf = itemsByNode(outset.ledger, now);
      const grants = waiting.flatMap((one) =>
        changed.has(one) ? [] : grantOf(ctx, one, verified.get(one.key), chosen.get(one.uid), itemOf, now),
      );
      return { input, planned, unread, grants };
    }
    waiting = waiting.flatMap((one) => (changed.has(one) ? (changed.get(one) ?? []) : [one]));
  }
}

/** The ledger item of each machine that can be given, and under null that of those still to be made. */
function itemsByNode(ledger: Ledger, now: number): ReadonlyMap<string | null, string> {
  const nodes = usableNodes(ledger, now).map((node) => [node.name, keyText(node)] as const);
  return new Map<string | null, string>([...nodes, [null, keyText(ledger.makeable)]]);
}

/**
 * Those whom the records show otherwise than the index, as they are now: who was stopped meanwhile and started with
 * another size must not be given what it asked for before. Undefined: it waits for nothing here. A late index may also
 * name a life whose id has another one by now.
 */
function changedSince(
  checked: readonly Candidate[],
  verified: ReadonlyMap<string, Environment>,
  type: string,
): ReadonlyMap<Candidate, Candidate | undefined> {
  const changed = new Map<Candidate, Candidate | undefined>();
  for (const one of checked) {
    const record = verified.get(one.key);
    const isHere = record?.uid === one.uid && isWaiting(record) && record.size.pool === type;
    const now = isHere ? candidateOf(record) : undefined;
    if (!sameData(now, one)) changed.set(one, now);
  }
  return changed;
}

function grantOf(
  ctx: PlannerContext,
  { key }: Candidate,
  record: Environment | undefined,
  shares: readonly Share[] | undefined,
  itemOf: ReadonlyMap<string | null, string>,
  now: number,
): Grant[] {
  if (!record || !shares) return [];
  const items = shares.map(({ node }) => itemOf.get(node) ?? "");
  const { uid, owner, size } = record;
  return [{ id: ctx.ids.uid(), key, uid, run: record.run.n, owner, size, shares, items, at: now }];
}
