import { type Environment, isWaiting, keyOf } from "../../environments/record/record.ts";
import type { Share } from "../../ports/compute.ts";
import type { PlannerContext } from "../../reconciler/worker.ts";
import { keyText } from "../../store/keys.ts";
import { sameData } from "../../store/same-data.ts";
import type { Candidate } from "../ledger/lines.ts";
import { readNamed } from "../ledger/named.ts";
import type { Grant, Holding, Ledger } from "../ledger/record.ts";
import { readUsed, type Used } from "../ledger/used.ts";
import { type Plan, type PlanInput, plan } from "../plan/plan.ts";
import { inputOf, type PlanSources, usableNodes } from "../plan/plan-input.ts";
import { candidateOf, readWaiting, type WaitingList } from "../plan/waiting.ts";

/**
 * The grants of one plan, and what the plan was made of. The ledger was compared with the environments' records first.
 */
export interface Decision {
  /** The ledger with the new grants. */
  readonly ledger: Ledger;
  /** What the plan was made of. */
  readonly input: PlanInput;
  readonly planned: Plan;
  readonly waiting: WaitingList;
  readonly used: Used;
  /** Keys of environments that were checked (chosen, first in line, or read ahead) and whose records cannot be read. */
  readonly unread: ReadonlySet<string>;
}

/**
 * Plans who is given what now, over a ledger that was compared with the records. `namedRecords` are those that messages
 * named, `returnedHoldings` what was given back meanwhile. Writes nothing.
 */
export async function decideGrants(
  ctx: PlannerContext,
  ledger: Ledger,
  namedRecords: readonly Environment[],
  returnedHoldings: readonly Holding[],
  now: number,
): Promise<Decision> {
  const waiting = await readWaiting(ctx, ledger, namedRecords);
  const owners = waiting.candidates.map(({ owner }) => owner);
  const used = await readUsed(ctx, ledger.type, owners, returnedHoldings, now);
  const { grants, ...found } = await planVerified(ctx, { ledger, waiting, used: used.owners }, namedRecords, now);
  return { ledger: { ...ledger, granted: [...ledger.granted, ...grants] }, ...found, waiting, used };
}

/**
 * At most so many plans consider every candidate. Each further one is made because a record that was read differs from
 * the index: it waits no longer, asks for something else, or cannot be read.
 */
const MOST_FULL_PLANS = 4;
/**
 * After the first plan that a record contradicted, so many of the next in line are read too. Otherwise each unreadable
 * record would cost one more plan, and such records can stay for long.
 */
const READ_AHEAD = 100;

/**
 * The index only proposes: whoever is chosen is read, consistently, before it is granted anything. If a record still
 * differed after each full plan, the last plan considers only environments whose records were read. The first in line is
 * one of them, so its reserved start stays reserved.
 */
async function planVerified(
  ctx: PlannerContext,
  sources: PlanSources,
  named: readonly Environment[],
  now: number,
): Promise<Pick<Decision, "input" | "planned" | "unread"> & { readonly grants: Grant[] }> {
  const unread = new Set(sources.waiting.unread);
  const verified = new Map(named.map((record) => [keyText(keyOf(record)), record]));
  const firstInLine = sources.ledger.pool.head?.uid;
  let waiting: readonly Candidate[] = sources.waiting.candidates;
  for (let tries = 0; ; tries++) {
    const isLast = tries === MOST_FULL_PLANS;
    if (isLast) waiting = waiting.filter(({ key }) => verified.has(key));
    const input = inputOf(ctx, sources, waiting, now);
    const planned = plan(input);
    const chosen = new Map(planned.grants.map((grant) => [grant.uid, grant.shares]));
    const next = new Set(tries === 0 ? [] : planned.places.slice(0, READ_AHEAD).map(({ uid }) => uid));
    // The first in line is always read: no start is reserved for an unreadable record.
    if (firstInLine !== undefined) next.add(firstInLine);
    const checked = waiting.filter(({ uid }) => chosen.has(uid) || next.has(uid));
    const missing = checked.map(({ key }) => key).filter((key) => !verified.has(key));
    const { records, unreadable } = await readNamed(ctx, missing);
    for (const record of records) verified.set(keyText(keyOf(record)), record);
    for (const key of unreadable) unread.add(key);
    const corrections = correctionsOf(checked, verified, sources.ledger.type);
    if (isLast || corrections.size === 0) {
      if (chosen.size === 0) return { input, planned, unread, grants: [] };
      const itemOf = itemsByNode(sources.ledger, now);
      const grants = waiting.flatMap((one) =>
        corrections.has(one) ? [] : grantOf(ctx, one, verified.get(one.key), chosen.get(one.uid), itemOf, now),
      );
      return { input, planned, unread, grants };
    }
    waiting = waiting.flatMap((one) => (corrections.has(one) ? (corrections.get(one) ?? []) : [one]));
  }
}

/** The key of the ledger item of each machine that can be given. The key null stands for machines still to be made. */
function itemsByNode(ledger: Ledger, now: number): ReadonlyMap<string | null, string> {
  const nodes = usableNodes(ledger, now).map((node) => [node.name, keyText(node)] as const);
  return new Map<string | null, string>([...nodes, [null, keyText(ledger.makeable)]]);
}

/**
 * For each candidate whose record differs from the index: the candidate as the record says it, or undefined where the
 * record no longer waits in this pool. An environment that was stopped and started with another size must not get the
 * size that it asked for before the stop. A late index may also name an environment that ended and whose id a newer
 * environment uses now.
 */
function correctionsOf(
  checked: readonly Candidate[],
  verified: ReadonlyMap<string, Environment>,
  type: string,
): ReadonlyMap<Candidate, Candidate | undefined> {
  const corrections = new Map<Candidate, Candidate | undefined>();
  for (const one of checked) {
    const record = verified.get(one.key);
    const isHere = record?.uid === one.uid && isWaiting(record) && record.size.pool === type;
    const current = isHere ? candidateOf(record) : undefined;
    if (!sameData(current, one)) corrections.set(one, current);
  }
  return corrections;
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
