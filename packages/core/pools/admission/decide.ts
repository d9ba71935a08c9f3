import { type Environment, isWaiting, toKey } from "../../environments/record/record.ts";
import type { Share } from "../../ports/compute.ts";
import type { PlannerContext } from "../../reconciler/step.ts";
import { keyText } from "../../store/keys.ts";
import { sameData } from "../../store/same-data.ts";
import { readByKey } from "../ledger/read-by-key.ts";
import type { Grant, Ledger } from "../ledger/record.ts";
import { zoneForVolume } from "../ledger/shortage.ts";
import { type Returned, readUsed, type Used } from "../ledger/usage.ts";
import type { Candidate } from "../ledger/waiting-list.ts";
import { type Plan, type PlanInput, type PlannedGrant, plan } from "../plan/plan.ts";
import { buildPlanInput, type PlanSources, usableNodes } from "../plan/plan-input.ts";
import { readWaiting, toCandidate, type WaitingList } from "../plan/waiting.ts";

/** The grants of one plan and its inputs. The ledger was reconciled with the environments' records first. */
export interface Decision {
  readonly ledger: Ledger;
  readonly input: PlanInput;
  readonly planned: Plan;
  readonly waiting: WaitingList;
  readonly used: Used;
  /** Keys of checked environments (chosen, first in line, or read ahead) whose records cannot be read. */
  readonly unread: ReadonlySet<string>;
}

/**
 * Plans new grants over a reconciled ledger. `namedRecords` are the records that messages named, `returnedHoldings` the
 * holdings returned since. Writes nothing.
 */
export async function decideGrants(
  ctx: PlannerContext,
  ledger: Ledger,
  namedRecords: readonly Environment[],
  returnedHoldings: readonly Returned[],
  now: number,
): Promise<Decision> {
  const waiting = await readWaiting(ctx, ledger, namedRecords);
  const owners = waiting.candidates.map(({ owner }) => owner);
  const used = await readUsed(ctx, ledger.type, owners, returnedHoldings, now);
  const { grants, ...found } = await planVerified(ctx, { ledger, waiting, used: used.owners }, namedRecords, now);
  return { ledger: { ...ledger, granted: [...ledger.granted, ...grants] }, ...found, waiting, used };
}

/**
 * Plans that consider every candidate. A further plan is made when a record differs from the index: it no longer waits,
 * asks for another size, or cannot be read.
 */
const MOST_FULL_PLANS = 4;
/**
 * Number of next candidates to read once a record has contradicted a plan. Otherwise each unreadable record would cost
 * another plan, and such records can stay for long.
 */
const READ_AHEAD = 100;

/**
 * Reads the record of every chosen environment, consistently, before granting: the index may be stale. If records still
 * differ after all full plans, the last plan considers only environments whose records were read. The first in line is
 * among them, so its reserved start is kept.
 */
async function planVerified(
  ctx: PlannerContext,
  sources: PlanSources,
  named: readonly Environment[],
  now: number,
): Promise<Pick<Decision, "input" | "planned" | "unread"> & { readonly grants: Grant[] }> {
  const unread = new Set(sources.waiting.unread);
  const verified = new Map(named.map((record) => [keyText(toKey(record)), record]));
  const firstInLine = sources.ledger.pool.head?.uid;
  let waiting: readonly Candidate[] = sources.waiting.candidates;
  for (let tries = 0; ; tries++) {
    const isLast = tries === MOST_FULL_PLANS;
    if (isLast) waiting = waiting.filter(({ key }) => verified.has(key));
    const input = buildPlanInput(ctx, sources, waiting, now);
    const planned = plan(input);
    const chosen = new Map(planned.grants.map((grant) => [grant.uid, grant]));
    const next = new Set(tries === 0 ? [] : planned.places.slice(0, READ_AHEAD).map(({ uid }) => uid));
    // The first in line is always read: no start is reserved for an unreadable record.
    if (firstInLine !== undefined) next.add(firstInLine);
    const checked = waiting.filter(({ uid }) => chosen.has(uid) || next.has(uid));
    const missing = checked.map(({ key }) => key).filter((key) => !verified.has(key));
    const { records, unreadable } = await readByKey(ctx, missing);
    for (const record of records) verified.set(keyText(toKey(record)), record);
    for (const key of unreadable) unread.add(key);
    const corrections = listCorrections(checked, verified, sources.ledger.type);
    if (isLast || corrections.size === 0) {
      if (chosen.size === 0) return { input, planned, unread, grants: [] };
      const from = { ledger: sources.ledger, items: itemsByNode(sources.ledger, now), now };
      const grants = waiting.flatMap((candidate) =>
        corrections.has(candidate)
          ? []
          : toGrant(ctx, candidate, verified.get(candidate.key), chosen.get(candidate.uid), from),
      );
      return { input, planned, unread, grants };
    }
    waiting = waiting.flatMap((candidate) =>
      corrections.has(candidate) ? (corrections.get(candidate) ?? []) : [candidate],
    );
  }
}

/** Returns the ledger item key of each usable machine. The key null stands for machines still to be created. */
function itemsByNode(ledger: Ledger, now: number): ReadonlyMap<string | null, string> {
  const nodes = usableNodes(ledger, now).map((node) => [node.name, keyText(node)] as const);
  return new Map<string | null, string>([...nodes, [null, keyText(ledger.makeable)]]);
}

/**
 * Returns the corrected candidate for each record that differs from the index, or undefined if it no longer waits here.
 * An environment restarted with another size must not get its old size. A stale index may also name an ended
 * environment whose id a newer one uses.
 */
function listCorrections(
  checked: readonly Candidate[],
  verified: ReadonlyMap<string, Environment>,
  type: string,
): ReadonlyMap<Candidate, Candidate | undefined> {
  const corrections = new Map<Candidate, Candidate | undefined>();
  for (const candidate of checked) {
    const record = verified.get(candidate.key);
    const isHere = record?.uid === candidate.uid && isWaiting(record) && record.size.pool === type;
    const current = isHere ? toCandidate(record) : undefined;
    // The index lacks the image, and to know it is not worth another plan.
    if (!sameData(current, { ...candidate, image: undefined })) corrections.set(candidate, current);
  }
  return corrections;
}

interface GrantSources {
  /** See `itemsByNode`. */
  readonly items: ReadonlyMap<string | null, string>;
  readonly ledger: Ledger;
  readonly now: number;
}

function toGrant(
  ctx: PlannerContext,
  { key }: Candidate,
  record: Environment | undefined,
  planned: PlannedGrant | undefined,
  { items, ledger, now }: GrantSources,
): Grant[] {
  if (!record || !planned) return [];
  const shares = inZoneOfVolume(record, planned, ledger, now);
  const names = shares.map(({ node }) => items.get(node) ?? "");
  const { uid, owner, size } = record;
  return [{ id: ctx.ids.uid(), key, uid, run: record.run.n, owner, size, shares, items: names, at: now }];
}

/**
 * Returns the shares, with a zone for the new machine of a job whose volume is made before it. The ledger keeps the zone,
 * so that later plans promise the last machine of a zone once. All such jobs on one machine get the same zone.
 */
function inZoneOfVolume(
  { zone, disk, volumes }: Environment,
  { shares, created }: PlannedGrant,
  { makeable, pool }: Ledger,
  now: number,
): readonly Share[] {
  const needsVolume = disk !== null || volumes.length > 0;
  if (zone !== null || !needsVolume || !created) return shares;
  const chosen = zoneForVolume(makeable, created.zones, pool.plans + created.machine, now);
  return chosen === undefined ? shares : shares.map((share) => ({ ...share, zone: chosen }));
}
