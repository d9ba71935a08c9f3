import { type Environment, isWaiting, toKey } from "../../environments/record/record.ts";
import { isSwept } from "../../reconciler/clamp-due.ts";
import { requestReconcile } from "../../reconciler/request-reconcile.ts";
import type { PlannerContext } from "../../reconciler/step.ts";
import { keyText } from "../../store/keys.ts";
import { sameData } from "../../store/same-data.ts";
import { noteImages } from "./machine-images.ts";
import { onTheirMachines, withoutLeftovers } from "./moved-holdings.ts";
import { readByKey } from "./read-by-key.ts";
import {
  type Entry,
  type Grant,
  type Holding,
  hasSeen,
  type Ledger,
  type LedgerItem,
  type NodeLedger,
  type Pool,
} from "./record.ts";
import { noteShortage } from "./shortage.ts";
import { noteStartups } from "./startup-times.ts";

/** Reports whether the record differs from the pool or these items (docs/architecture/admission.md). */
export function concerns(pool: Pool, items: readonly LedgerItem[], record: Environment): boolean {
  if (isWaiting(record) !== hasSeen(pool, record) || isSeenAsBefore(pool, record)) return true;
  const isFor = ({ uid }: Entry) => uid === record.uid;
  const granted = items.flatMap((item) => item.granted.filter(isFor));
  const held = items.flatMap((item) => item.held.filter(isFor));
  return (
    granted.some((entry) => !mayStillTake(entry, record)) ||
    held.some(
      (entry) =>
        !holds(record, entry) || getHoldingPhase(record) !== entry.phase || record.times.endsAt !== entry.endsAt,
    ) ||
    items.some((item) => item.kind === "makeable" && item.held.some(isFor) && record.run.machines.length > 0)
  );
}

/** Reports whether it was restarted since the pool saw it. It may ask for another size now. */
function isSeenAsBefore({ seen, summary }: Pool, record: Environment): boolean {
  const isAgain = record.run.n > 1 && record.queuedAt > summary.plannedAt;
  return isAgain && isWaiting(record) && seen.includes(record.uid);
}

/** How often a part of the holdings is compared with their records: a sixteenth, or at least `COMPARED_AT_LEAST`. */
const COMPARE_MS = 50_000;
const COMPARED_PARTS = 16;
const COMPARED_AT_LEAST = 500;
/** An open grant is compared with its record once it is this old, or when a message names it. */
const OPEN_MS = 5_000;
const SET_ASIDE_MS = 300_000;
/** For machines whose state the listing shows, so that a job does not return at once to one that changes often. */
const BRIEFLY_ASIDE_MS = 60_000;
/** An alarm is raised if unreadable records hold units for longer than this. */
const LONGEST_UNREADABLE_MS = 600_000;

export interface Settled {
  readonly ledger: Ledger;
  readonly known: ReadonlyMap<string, Environment>;
  readonly compared: Pool["compared"];
}

/**
 * Reconciles the ledger with records. Taken grants become holdings, void grants and returned holdings are dropped, and
 * holdings move to their machine once it exists. No grant expires by time, only by its record
 * (docs/architecture/admission.md). A record frees capacity if it is absent, has another uid or run, no longer waits,
 * or holds another grant or none. An unreadable record frees nothing.
 */
export async function settleLedger(
  ctx: PlannerContext,
  before: Ledger,
  named: readonly Environment[],
  now: number,
): Promise<Settled> {
  const knownEnvironments = new Map(named.map((record) => [keyText(toKey(record)), record]));
  const turn = inTurn(before, now);
  const open = before.granted.filter(({ at, unreadableSince }) => now - at >= OPEN_MS || unreadableSince !== undefined);
  const namedKeys = [...open, ...turn.held].map(({ key }) => key);
  const missing = namedKeys.filter((key) => !knownEnvironments.has(key));
  const { records, unreadable } = await readByKey(ctx, missing);
  for (const record of records) knownEnvironments.set(keyText(toKey(record)), record);

  const readKeys = new Set([...knownEnvironments.keys(), ...missing]);
  const granted = before.granted.flatMap((grant) => {
    if (unreadable.has(grant.key)) return [unreadableSince(grant, now)];
    return !readKeys.has(grant.key) || mayStillTake(grant, knownEnvironments.get(grant.key)) ? [readAgain(grant)] : [];
  });
  const taken = before.granted.flatMap((grant) => holding(grant, knownEnvironments.get(grant.key)));
  // Most holdings stay the same objects, which later steps skip.
  const kept: Holding[] = [];
  const compared: Holding[] = [];
  for (const old of before.held) {
    if (readKeys.has(old.key)) compared.push(old);
    if (!readKeys.has(old.key)) kept.push(old);
    else if (unreadable.has(old.key)) kept.push(unreadableSince(old, now));
    else kept.push(...stillHeld(old, knownEnvironments.get(old.key)));
  }
  const held = onTheirMachines(ctx, before, [...kept, ...taken], knownEnvironments);
  const returned = [...before.granted, ...compared].filter(({ key }) => knownEnvironments.has(key));
  const there = withoutLeftovers(afterWithdrawals(before, returned, knownEnvironments), held, before);
  const nodes = noteImages(ctx, there, { before: before.held, held }, knownEnvironments);
  const makeable = noteStartups(
    noteShortage(before.makeable, returned, knownEnvironments),
    before,
    held,
    knownEnvironments,
  );
  const ledger = { ...before, nodes, makeable, granted, held };
  raiseAlarm(ctx, ledger, now);
  const stay = compared.filter((old) => holding(old, knownEnvironments.get(old.key)).length > 0);
  await reconcileOutsideSweep(ctx, [...granted, ...stay, ...taken], knownEnvironments, now);
  return { ledger, known: knownEnvironments, compared: turn.compared };
}

/** Returns the holdings of the next ledger items in the rotation. */
function inTurn({ pool: { compared }, nodes, makeable, held }: Ledger, now: number) {
  if (now - compared.at < COMPARE_MS && now >= compared.at) return { held: [], compared };
  const most = Math.max(COMPARED_AT_LEAST, Math.ceil(held.length / COMPARED_PARTS));
  const items: readonly LedgerItem[] = [makeable, ...nodes];
  const last = items.findIndex((item) => keyText(item) === compared.item);
  const order = [...items.slice(last + 1), ...items.slice(0, last + 1)];
  const chosen = new Set<string>();
  let count = 0;
  for (const item of order) {
    if (count >= most) break;
    chosen.add(keyText(item));
    count += item.held.length;
  }
  const reached = [...chosen].at(-1) ?? null;
  return {
    held: held.filter((holding) => holding.items.some((item) => chosen.has(item))),
    compared: { item: reached, at: now },
  };
}

/** Returns the machines. Machines on which nothing started are set aside or not ready. */
function afterWithdrawals(
  { nodes, granted }: Ledger,
  returned: readonly Grant[],
  knownEnvironments: ReadonlyMap<string, Environment>,
): readonly NodeLedger[] {
  const open = new Set(granted);
  const aside = new Map(returned.flatMap((old) => withdrawnNodes(old, knownEnvironments.get(old.key))));
  const taken = returned.filter((old) => !open.has(old));
  const silent = new Set(taken.flatMap((old) => silentNodes(old, knownEnvironments.get(old.key))));
  if (aside.size + silent.size === 0) return nodes;
  return nodes.map((node) => {
    const asideUntil = aside.get(node.name);
    if (asideUntil === undefined && !silent.has(node.uid)) return node;
    return {
      ...node,
      ...(asideUntil === undefined ? {} : { asideUntil }),
      ...(silent.has(node.uid) ? { ready: false, unready: "notReady" as const } : {}),
    };
  });
}

/** Queues a reconcile for holders that the sweep does not reach, for example after a record was edited by hand. */
async function reconcileOutsideSweep(
  ctx: PlannerContext,
  compared: readonly Grant[],
  knownEnvironments: ReadonlyMap<string, Environment>,
  now: number,
): Promise<void> {
  const records = compared.flatMap(({ key }) => knownEnvironments.get(key) ?? []);
  const hidden = records.filter((record) => !isSwept(ctx, record, now));
  await Promise.all(hidden.map((record) => requestReconcile(ctx, toKey(record))));
}

export function unreadableUnits({ granted, held }: Pick<Ledger, "granted" | "held">): number {
  const isUnreadable = ({ unreadableSince }: Grant) => unreadableSince !== undefined;
  const unreadable = [...granted.filter(isUnreadable), ...held.filter(isUnreadable)];
  return unreadable.flatMap(({ shares }) => shares).reduce((sum, { units }) => sum + units, 0);
}

function raiseAlarm(ctx: PlannerContext, ledger: Ledger, now: number): void {
  const isLong = ({ unreadableSince = now }: Grant) => now - unreadableSince > LONGEST_UNREADABLE_MS;
  const long = [...ledger.granted.filter(isLong), ...ledger.held.filter(isLong)];
  if (long.length === 0) return;
  const keys = long.slice(0, MOST_LOGGED).map(({ key }) => key);
  ctx.log.error("capacity not readable", { pool: ledger.type, units: unreadableUnits(ledger), looks: keys });
}

const MOST_LOGGED = 10;

function unreadableSince<Entry extends Grant>(entry: Entry, now: number): Entry {
  return { ...entry, unreadableSince: entry.unreadableSince ?? now };
}

function readAgain(grant: Grant): Grant {
  return grant.unreadableSince === undefined ? grant : { ...grant, unreadableSince: undefined };
}

/** Reports whether the record still waits with this run and so may take the grant at any moment. */
function mayStillTake(grant: Pick<Grant, "uid" | "run">, record: Environment | undefined): boolean {
  return record?.uid === grant.uid && record.run.n === grant.run && isWaiting(record);
}

/** Reports whether the record took this grant. A run may have been granted twice. */
function holds(record: Environment, { uid, grant }: Pick<Entry, "uid" | "grant">): boolean {
  return record.uid === uid && record.run.grant?.id === grant;
}

export function getHoldingPhase({ phase }: Environment): Holding["phase"] {
  return phase === "preparing" || phase === "active" ? phase : "stopping";
}

function holding(entry: Grant, record: Environment | undefined): Holding[] {
  if (!record || !holds(record, { uid: entry.uid, grant: entry.id })) return [];
  const { unreadableSince: _, ...rest } = entry;
  return [{ ...rest, size: record.size, phase: getHoldingPhase(record), endsAt: record.times.endsAt }];
}

/** Returns the updated holding, or the same object if the record has not changed. */
function stillHeld(old: Holding, record: Environment | undefined): Holding[] {
  const [held] = holding(old, record);
  if (!held) return [];
  const isSame = old.phase === held.phase && old.endsAt === held.endsAt && old.unreadableSince === undefined;
  return [isSame && sameData(old.size, held.size) ? old : held];
}

/** Returns the uids of nodes that did not respond when given back. They stay unready until a listing. */
function silentNodes(old: Grant, record: Environment | undefined): string[] {
  if (record?.uid !== old.uid || holds(record, { uid: old.uid, grant: old.id })) return [];
  return record.run.machines.flatMap(({ uid, silent }) => (silent ? [uid] : []));
}

function withdrawnNodes(old: Grant, record: Environment | undefined): [string, number][] {
  const withdrawn = record?.uid === old.uid ? record.placement.withdrawn : null;
  if (withdrawn?.run !== old.run) return [];
  const until = withdrawn.at + (withdrawn.saidSo ? BRIEFLY_ASIDE_MS : SET_ASIDE_MS);
  return withdrawn.nodes.map((node) => [node, until]);
}
