import { listLivingKeys } from "../../admin/living.ts";
import type { Context, UserContext } from "../../context.ts";
import { keyOf } from "../../environments/record/record.ts";
import { poolTypes } from "../../fleet.ts";
import type { Compute, NodeRef } from "../../ports/compute.ts";
import type { Stored } from "../../ports/table.ts";
import { Problem } from "../../problem.ts";
import { sendLook } from "../../reconciler/look.ts";
import { keyOfText, keyText, nodeGoneKey, nodeNameOf } from "../../store/keys.ts";
import { changeRecord } from "../../store/write-record.ts";
import { DAY_MS } from "../../units.ts";
import { readLedger, readLedgerItems } from "../ledger/ledger.ts";
import { readNamed } from "../ledger/named.ts";
import { emptyPool, type Ledger, type NodeLedger } from "../ledger/record.ts";
import { planSoon } from "../plan/plan-soon.ts";

/** How long the operator's word that a machine is dead counts. */
export const WORD_MS = DAY_MS;

/** One item, written without a condition: the newest word counts. */
interface GoneNode extends Stored {
  readonly kind: "node-gone";
  readonly node: string;
  readonly at: number;
  readonly by?: string | undefined;
  readonly reason?: string | null | undefined;
  readonly ttl: number;
}

/**
 * The operator's word that the machine behind a node is dead, whatever cluster and provider say: what runs there is lost
 * and nothing is granted there for 24 h. It is the word on that node object: one that has its name later is another.
 * Throws `notFound` for a node that no pool has and nobody waits for, or `conflict` when a record that cannot be read
 * may have it.
 */
export async function declareNodeGone(
  ctx: UserContext<"table" | "queue">,
  name: string,
  reason: string | null = null,
): Promise<NodeRef> {
  // The one that is there, where a machine that is gone had its name before.
  const found = await findDeclared(ctx, name, (nodes) => nodes.find(({ gone }) => !gone) ?? nodes[0]);
  const { node } = found;
  const now = ctx.clock.now();
  const key = nodeGoneKey(found.machine.uid);
  const ttl = Math.ceil((now + WORD_MS) / 1000);
  const word: GoneNode = {
    ...key,
    writers: [],
    kind: "node-gone",
    node: name,
    at: now,
    by: ctx.actor.username,
    reason,
    ttl,
  };
  // Needs no condition: the operator's newest word holds, and all that it says is the time.
  await ctx.table.put(word);
  if (node) await markGone(ctx, node, now);
  const runs = found.runs.flatMap((text) => keyOfText(text) ?? []);
  await Promise.all([
    ...(node ? [planSoon(ctx, node.type)] : []),
    ...runs.map((environment) => sendLook(ctx, environment, { for: [keyText(key)] })),
  ]);
  return found.machine;
}

/** Replaces the word on this machine by one that is over. */
export async function takeWordBack(ctx: Context<"table">, { name, uid }: NodeRef): Promise<void> {
  const ttl = Math.ceil(ctx.clock.now() / 1000);
  const word: GoneNode = { ...nodeGoneKey(uid), writers: [], kind: "node-gone", node: name, at: 0, ttl };
  await ctx.table.put(word);
}

interface Declared {
  readonly machine: NodeRef;
  /** Its ledger item, if it has one. */
  readonly node: NodeLedger | undefined;
  /** The keys of the environments on it, as in a message. */
  readonly runs: readonly string[];
}

/** Returns the machine that an operator means by this name. `pick` chooses among several of the same name. */
export async function findDeclared(
  ctx: Context<"table" | "queue">,
  name: string,
  pick: (nodes: readonly NodeLedger[]) => NodeLedger | undefined,
): Promise<Declared> {
  const ledgers = await Promise.all(poolTypes.map((type) => readLedger(ctx, emptyPool(ctx, type))));
  const nodes = ledgers.flatMap((ledger) => ledger.nodes.filter((one) => one.name === name));
  const unreadable = ledgers.flatMap((ledger) => [...ledger.unreadable]);
  const ofThatName = unreadable.filter((item) => nodeNameOf(item) === name);
  // Words are read for machines without an item only: one that cannot be marked would be given again once it can be read.
  if (ofThatName.length > 0 && nodes.every(({ gone }) => gone)) throw unknownNode(name, ofThatName);
  const node = pick(nodes);
  if (node) return { machine: node, node, runs: [...node.granted, ...node.held].map((entry) => entry.key) };
  const found = await machineWithoutItem(ctx, ledgers, name);
  if ("unreadable" in found) throw unknownNode(name, [...unreadable, ...found.unreadable]);
  return { ...found, node: undefined };
}

/** Whoever waits for a machine is looked at more often (environments/steps/lost-node.ts). */
const LOOKED_AT_WITHIN_MS = 60_000;

/**
 * A machine made for a run may die before a listing has shown it, and one that holds nothing any more is forgotten
 * although it still has a volume; no pool may have one that zips a volume. None has a ledger item: only the records that
 * wait for it know it. `runs`: those environments, as in a message. `unreadable`: no record that can be read knows it,
 * but one of these may.
 */
async function machineWithoutItem(
  ctx: Context<"table" | "queue">,
  ledgers: readonly Ledger[],
  name: string,
): Promise<{ readonly machine: NodeRef; readonly runs: readonly string[] } | Pick<Ledger, "unreadable">> {
  const unpinned = ledgers.flatMap(({ makeable: { granted, held } }) => [...granted, ...held].map(({ key }) => key));
  const waiting = await listLivingKeys(ctx, ctx.clock.now() + LOOKED_AT_WITHIN_MS);
  const { records, unreadable } = await readNamed(ctx, [...new Set([...unpinned, ...waiting.map(keyText)])]);
  const machines = records.flatMap(({ run }) => run.machines.filter((machine) => machine.name === name));
  const hosts = records.flatMap(({ end }) => end.archive?.silent ?? []).filter((host) => host.name === name);
  const machine = machines.find(({ silent }) => silent) ?? hosts[0] ?? machines[0];
  if (!machine) return { unreadable };
  const bound = records.filter(({ run, end }) =>
    [...run.machines, ...(end.archive?.silent ? [end.archive.silent] : [])].some(({ uid }) => uid === machine.uid),
  );
  return { machine, runs: bound.map((record) => keyText(keyOf(record))) };
}

export function unknownNode(name: string, unreadable: readonly string[]): Problem {
  const text = `Node '${name.slice(0, 100)}' not found`;
  if (unreadable.length === 0) return new Problem("notFound", text);
  const records = unreadable.slice(0, 10).join(", ");
  return new Problem("conflict", `${text}, but it may be in a record that cannot be read: ${records}`);
}

/** Which of these nodes, by uid, the operator called gone within the last 24 h, and when. */
export async function readGoneNodes(
  ctx: Pick<Context<"table">, "table">,
  uids: readonly string[],
  now: number,
): Promise<ReadonlyMap<string, number>> {
  if (uids.length === 0) return new Map();
  const keys = new Map(uids.map((uid) => [nodeGoneKey(uid).pk, uid]));
  const items = await ctx.table.getMany([...keys.values()].map(nodeGoneKey));
  const said = items.flatMap(({ pk, at }): [string, number][] => {
    const uid = keys.get(pk);
    return uid !== undefined && typeof at === "number" && now - at < WORD_MS ? [[uid, at]] : [];
  });
  return new Map(said);
}

/** What becomes of machines as the operator says, and the provider of those of whom nothing was said. */
export function heedingWords(
  ctx: Pick<Context<"table">, "table" | "clock">,
  machineOf: Compute["machineOf"],
): Compute["machineOf"] {
  return async (node) => {
    const gone = await readGoneNodes(ctx, [node.uid], ctx.clock.now());
    return gone.has(node.uid) ? "gone" : machineOf(node);
  };
}

/** Marks its ledger item, so that nothing is granted there until a listing comes. */
async function markGone(ctx: UserContext<"table">, { pk, sk, name }: NodeLedger, now: number): Promise<void> {
  await changeRecord(ctx, {
    async read() {
      const { records, unreadable } = await readLedgerItems(ctx, [keyText({ pk, sk })]);
      if (unreadable.size > 0) throw unknownNode(name, [...unreadable]);
      return records[0];
    },
    decide(item) {
      if (item?.kind !== "node") return undefined;
      return { ...item, ready: false, gone: true as const, saidAt: now };
    },
    what: "The ledger item is",
  });
}
