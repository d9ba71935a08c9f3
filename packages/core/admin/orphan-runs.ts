import type { Context } from "../context.ts";
import { isArchiving } from "../environments/record/disk/archive-use.ts";
import { parseEnvironment } from "../environments/record/parse.ts";
import { type Environment, holdsCapacity, isEnded, keyOf } from "../environments/record/record.ts";
import { findInstanceType } from "../fleet.ts";
import type { ComputeNode, RunRef } from "../ports/compute.ts";
import { keyOfText, keyText, kindOfKey } from "../store/keys.ts";
import { readEach } from "../store/readable.ts";

export interface Sighting {
  readonly uid: string;
  readonly run: number;
  /** The record's key in a message. */
  readonly key: string;
  readonly why: string;
  readonly firstSeenAt: number;
  /** Comparisons in a row that found it. */
  readonly sightings: number;
}

/** Compute that no record holds capacity for; `gpus` null: no record says how many. */
export interface OrphanRun extends Sighting {
  readonly pool: string | null;
  readonly gpus: number | null;
  /** Since when every comparison read its record, and found it beyond that run or missing; null: this one did not. */
  readonly uselessSince: number | null;
}

/** Keys of environments are shorter; what a cluster answers as the key of a run may have 256 KB. */
const LONGEST_KEY = 200;

/** `isUseless`: its record was read, and is beyond that run or not there. */
export type Found = Omit<OrphanRun, "firstSeenAt" | "sightings" | "uselessSince"> & { readonly isUseless: boolean };

/** The record decides, as everywhere: its run is wanted while it holds capacity for it. */
export async function orphanRuns(
  ctx: Context<"table">,
  runs: readonly RunRef[],
  leftovers: readonly RunRef[],
): Promise<Found[]> {
  const keys = [...runs, ...leftovers].flatMap((run) => environmentKeyOf(run) ?? []);
  const items = keys.length === 0 ? [] : await ctx.table.getMany(keys);
  const { records: read, unreadable } = readEach(ctx, items, parseEnvironment);
  const records = new Map(read.map((record) => [keyText(keyOf(record)), record]));
  const compare = (ref: RunRef): Found[] => {
    const { uid, run, key } = ref;
    const unknown = { uid, run, key: key.slice(0, LONGEST_KEY), pool: null, gpus: null, isUseless: false };
    if (!environmentKeyOf(ref)) return [{ ...unknown, why: "its key is that of no environment" }];
    if (unreadable.has(key)) return [{ ...unknown, why: "its record cannot be read" }];
    const record = records.get(key);
    if (!record) return [{ ...unknown, why: "it has no record", isUseless: true }];
    const isOwn = record.uid === uid;
    if (isOwn && holdsCapacity(record, run)) return [];
    const { pool, gpus } = record.size;
    return [{ ...unknown, why: whyNot(record, uid, run), pool, gpus, isUseless: isOwn && isOver(record, run) }];
  };
  // The parts of an archive are those of a run above every other one, which no record holds.
  const isOfArchive = ({ uid, run, key }: RunRef) => {
    const record = records.get(key);
    return record?.uid === uid && run > record.run.n && isArchiving(record);
  };
  const unwanted = leftovers.filter((ref) => !isOfArchive(ref));
  return [...runs.flatMap(compare), ...unwanted.flatMap(compare).map(leftover)];
}

/** Nothing starts this run again: what was stopped, or given back to the queue, is started under a higher number. */
function isOver(record: Environment, run: number): boolean {
  return isEnded(record) || run < record.run.n || (record.phase === "stopped" && run === record.run.n);
}

/** Asks the listed machines how many GPUs a run has where no record says it; null: they do not say it either. */
export async function withGpus(ctx: Context<"compute">, found: readonly Found[]): Promise<readonly Found[]> {
  if (!found.some(({ gpus }) => gpus === null)) return found;
  const nodes = await ctx.compute.listNodes().catch(() => []);
  return found.map((one) => (one.gpus === null ? { ...one, gpus: gpusOn(nodes, one) } : one));
}

function gpusOn(nodes: readonly ComputeNode[], found: Found): number | null {
  // Other machines of the run may be among those whose pods were not read.
  if (nodes.some(({ unread }) => unread)) return null;
  const gpus = nodes.flatMap(({ instanceType, runs = [] }) => {
    const hasGpus = (findInstanceType(instanceType)?.gpus ?? 0) > 0;
    const own = runs.filter(({ uid, run }) => uid === found.uid && run === found.run);
    return own.map(({ units }) => (hasGpus ? units : 0));
  });
  return gpus.length === 0 ? null : gpus.reduce((sum, one) => sum + one, 0);
}

/** Nothing of it runs: it holds no GPUs, and somebody's variables and addresses for nobody. */
function leftover(found: Found): Found {
  return { ...found, gpus: 0, why: `only parts of it are left: ${found.why}` };
}

function environmentKeyOf({ key }: RunRef) {
  const named = key.length > LONGEST_KEY ? undefined : keyOfText(key);
  return named && kindOfKey(named) === "environment" ? named : undefined;
}

function whyNot(record: Environment, uid: string, run: number): string {
  if (record.uid !== uid) return "its record is of another life";
  return record.run.n === run ? `its record is ${record.phase}` : `its record is at run ${record.run.n}`;
}
