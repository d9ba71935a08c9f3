import type { Context } from "../context.ts";
import { isArchiving } from "../environments/record/end.ts";
import { parseEnvironment } from "../environments/record/parse.ts";
import { type Environment, holdsCapacity, isEnded, toKey } from "../environments/record/record.ts";
import { findInstanceType } from "../fleet.ts";
import type { ComputeNode, RunRef } from "../ports/compute.ts";
import { keyOfText, keyText, kindOfKey } from "../store/keys.ts";
import { readEach } from "../store/readable.ts";

export interface Sighting {
  readonly uid: string;
  readonly run: number;
  readonly key: string;
  readonly why: string;
  readonly firstSeenAt: number;
  /** The number of consecutive comparisons that found it. */
  readonly sightings: number;
}

/** A run for which no record holds capacity. `gpus` is null if unknown. */
export interface OrphanRun extends Sighting {
  readonly pool: string | null;
  readonly gpus: number | null;
  /** Since when each comparison found its record past that run or missing. null if the last one did not. */
  readonly uselessSince: number | null;
}

/** Keys of environments are shorter. The key of a run in a cluster may have 256 KB. */
const LONGEST_KEY = 200;

/** `isUseless`: its record was read and is past that run or missing. */
export type Found = Omit<OrphanRun, "firstSeenAt" | "sightings" | "uselessSince"> & { readonly isUseless: boolean };

export async function orphanRuns(
  ctx: Context<"table">,
  runs: readonly RunRef[],
  leftovers: readonly RunRef[],
): Promise<Found[]> {
  const keys = [...runs, ...leftovers].flatMap((run) => findEnvironmentKey(run) ?? []);
  const items = keys.length === 0 ? [] : await ctx.table.getMany(keys);
  const { records: environments, unreadable } = readEach(ctx, items, parseEnvironment);
  const records = new Map(environments.map((record) => [keyText(toKey(record)), record]));
  const compare = (ref: RunRef): Found[] => {
    const { uid, run, key } = ref;
    const unknown = { uid, run, key: key.slice(0, LONGEST_KEY), pool: null, gpus: null, isUseless: false };
    if (!findEnvironmentKey(ref)) return [{ ...unknown, why: "its key is not the key of an environment" }];
    if (unreadable.has(key)) return [{ ...unknown, why: "its record cannot be read" }];
    const record = records.get(key);
    if (!record) return [{ ...unknown, why: "it has no record", isUseless: true }];
    const isOwn = record.uid === uid;
    if (isOwn && holdsCapacity(record, run)) return [];
    const { pool, gpus } = record.size;
    return [{ ...unknown, why: whyNot(record, uid, run), pool, gpus, isUseless: isOwn && isOver(record, run) }];
  };
  // The objects of an archive carry a run number above that of the record.
  const isOfArchive = ({ uid, run, key }: RunRef) => {
    const record = records.get(key);
    return record?.uid === uid && run > record.run.n && isArchiving(record);
  };
  const unwanted = leftovers.filter((ref) => !isOfArchive(ref));
  return [...runs.flatMap(compare), ...unwanted.flatMap(compare).map(leftover)];
}

/** Reports whether this run never starts again. A restart, or a return to the queue, uses a higher number. */
function isOver(record: Environment, run: number): boolean {
  return isEnded(record) || run < record.run.n || (record.phase === "stopped" && run === record.run.n);
}

/** Adds GPU counts from the listed machines where no record has them. They stay null if unknown. */
export async function withGpus(ctx: Context<"compute">, found: readonly Found[]): Promise<readonly Found[]> {
  if (!found.some(({ gpus }) => gpus === null)) return found;
  const nodes = await ctx.compute.listNodes().catch(() => []);
  return found.map((entry) => (entry.gpus === null ? { ...entry, gpus: gpusOn(nodes, entry) } : entry));
}

function gpusOn(nodes: readonly ComputeNode[], found: Found): number | null {
  // Other machines of the run may be among the nodes whose pods were not read.
  if (nodes.some(({ unread }) => unread)) return null;
  const gpus = nodes.flatMap(({ instanceType, runs = [] }) => {
    const hasGpus = (findInstanceType(instanceType)?.gpus ?? 0) > 0;
    const ownRuns = runs.filter(({ uid, run }) => uid === found.uid && run === found.run);
    return ownRuns.map(({ units }) => (hasGpus ? units : 0));
  });
  return gpus.length === 0 ? null : gpus.reduce((sum, value) => sum + value, 0);
}

/** Returns the orphan of leftovers. They hold no GPUs, but may hold variables and addresses. */
function leftover(found: Found): Found {
  return { ...found, gpus: 0, why: `only leftovers exist: ${found.why}` };
}

function findEnvironmentKey({ key }: RunRef) {
  const named = key.length > LONGEST_KEY ? undefined : keyOfText(key);
  return named && kindOfKey(named) === "environment" ? named : undefined;
}

function whyNot(record: Environment, uid: string, run: number): string {
  if (record.uid !== uid) return "its record belongs to another environment";
  return record.run.n === run ? `its record is ${record.phase}` : `its record is at run ${record.run.n}`;
}

/** A run that was removed after two reads found its record missing or past this run. */
export interface RemovedRun extends Pick<OrphanRun, "uid" | "run" | "key" | "why"> {
  readonly at: number;
}

const USELESS_MS = 600_000;
/** More useless runs at once mean that the table lost records, not a leak, so their work is kept. */
const MOST_REMOVED = 20;
/** Reads older than this are too old to act on. */
const BUDGET_MS = 20_000;

/**
 * Removes runs whose records were found past them or missing for ten minutes. Removes none with `orphansDryRun`, if
 * there are more than 20, or once the read (at `readAt` of the monotonic clock) is older than 20 s. Leftovers hold no
 * running command, so 20 of them are tried per ten minutes in rotation, and stuck ones do not block others. Returns the
 * runs whose removal the cluster accepted.
 */
export async function removeOrphans(
  ctx: Context<"compute">,
  seen: readonly OrphanRun[],
  { now, readAt, leftovers }: { readonly now: number; readonly readAt: number; readonly leftovers: readonly RunRef[] },
): Promise<RemovedRun[]> {
  if (ctx.settings.orphansDryRun) return [];
  const useless = seen.filter(({ uselessSince }) => uselessSince !== null && now - uselessSince >= USELESS_MS);
  const isLeftover = ({ uid, run }: OrphanRun) => leftovers.some((part) => part.uid === uid && part.run === run);
  const runs = useless.filter((run) => !isLeftover(run));
  const isTooMany = runs.length > MOST_REMOVED;
  if (isTooMany) ctx.log.error("too many orphans to remove", { runs: runs.length });
  const removed: RemovedRun[] = [];
  const chosen = [...(isTooMany ? [] : runs), ...inTurn(useless.filter(isLeftover), now)];
  for (const orphan of chosen) {
    const { uid, run, key, why } = orphan;
    if (ctx.clock.monotonic() - readAt > BUDGET_MS) break;
    try {
      const how = { graceSeconds: 0, force: false };
      await ctx.compute.remove(uid, run, isLeftover(orphan) ? { ...how, leftovers: true } : how);
      removed.push({ uid, run, key, why, at: now });
      ctx.log.warn("orphan removed", { look: key, uid, run, why });
    } catch (error) {
      ctx.log.warn("orphan not removed", { look: key, uid, run, error: String(error) });
    }
  }
  return removed;
}

function inTurn(leftovers: readonly OrphanRun[], now: number): readonly OrphanRun[] {
  const first = (Math.floor(now / USELESS_MS) * MOST_REMOVED) % Math.max(1, leftovers.length);
  return [...leftovers.slice(first), ...leftovers.slice(0, first)].slice(0, MOST_REMOVED);
}
