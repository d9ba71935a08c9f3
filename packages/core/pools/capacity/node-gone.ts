import { listLivingKeys } from "../../admin/living.ts";
import type { Context, UserContext } from "../../context.ts";
import { toKey } from "../../environments/record/record.ts";
import { poolTypes } from "../../fleet.ts";
import type { Compute, NodeRef } from "../../ports/compute.ts";
import type { Stored } from "../../ports/table.ts";
import { Problem } from "../../problem.ts";
import { requestReconcile } from "../../reconciler/request-reconcile.ts";
import { keyOfText, keyText, nodeGoneKey, parseNodeName } from "../../store/keys.ts";
import { changeRecord } from "../../store/write-record.ts";
import { DAY_MS } from "../../units.ts";
import { readLedger, readLedgerItems } from "../ledger/ledger.ts";
import { readByKey } from "../ledger/read-by-key.ts";
import { emptyPool, type Ledger, type NodeLedger } from "../ledger/record.ts";
import { planSoon } from "../plan/plan-soon.ts";

/** How long the operator's declaration that a machine is dead holds. */
export const WORD_MS = DAY_MS;

/** Written without a condition, because the newest declaration wins. */
interface GoneNode extends Stored {
  readonly kind: "node-gone";
  readonly node: string;
  readonly at: number;
  readonly by?: string | undefined;
  readonly reason?: string | null | undefined;
  readonly ttl: number;
}

/**
 * Declares the machine behind a node dead, and overrides the cluster and the provider. Its runs are lost, and nothing
 * is granted there for 24 h. The declaration names the node object by uid, so a later node of the same name is not
 * affected. Throws `notFound` for an unknown node, or `conflict` when an unreadable record may name it.
 */
export async function declareNodeGone(
  ctx: UserContext<"table" | "queue">,
  name: string,
  reason: string | null = null,
): Promise<NodeRef> {
  // Prefers an existing machine over a gone one of the same name.
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
  await ctx.table.put(word);
  // Nothing is granted there before the next listing.
  if (node) await changeNode(ctx, node, (item) => ({ ...item, ready: false, gone: true, saidAt: now }));
  const runs = found.runs.flatMap((text) => keyOfText(text) ?? []);
  await Promise.all([
    ...(node ? [planSoon(ctx, node.type)] : []),
    ...runs.map((environment) => requestReconcile(ctx, environment, { for: [keyText(key)] })),
  ]);
  return found.machine;
}

async function takeWordBack(ctx: Context<"table">, { name, uid }: NodeRef): Promise<void> {
  const ttl = Math.ceil(ctx.clock.now() / 1000);
  const word: GoneNode = { ...nodeGoneKey(uid), writers: [], kind: "node-gone", node: name, at: 0, ttl };
  await ctx.table.put(word);
}

interface Declared {
  readonly machine: NodeRef;
  readonly node: NodeLedger | undefined;
  /** Keys of the environments on it, in the form that messages use. */
  readonly runs: readonly string[];
}

/** Returns the machine that an operator means by this name. `pick` chooses among several of the same name. */
async function findDeclared(
  ctx: Context<"table" | "queue">,
  name: string,
  pick: (nodes: readonly NodeLedger[]) => NodeLedger | undefined,
): Promise<Declared> {
  const ledgers = await Promise.all(poolTypes.map((type) => readLedger(ctx, emptyPool(ctx, type))));
  const nodes = ledgers.flatMap((ledger) => ledger.nodes.filter((node) => node.name === name));
  const unreadable = ledgers.flatMap((ledger) => [...ledger.unreadable]);
  const ofThatName = unreadable.filter((item) => parseNodeName(item) === name);
  // Declarations are read only for machines without an item. An unreadable item cannot be marked, so its machine would
  // receive grants again once it is readable.
  if (ofThatName.length > 0 && nodes.every(({ gone }) => gone)) throw unknownNode(name, ofThatName);
  const node = pick(nodes);
  if (node) return { machine: node, node, runs: [...node.granted, ...node.held].map((entry) => entry.key) };
  const found = await machineWithoutItem(ctx, ledgers, name);
  if ("unreadable" in found) throw unknownNode(name, [...unreadable, ...found.unreadable]);
  return { ...found, node: undefined };
}

/** Environments that wait for a machine are reconciled at least this often (environments/steps/lost-node.ts). */
const CHECKED_WITHIN_MS = 60_000;

/**
 * Finds a machine that no ledger item names, through the environments that wait for it. Such a machine died before its
 * first listing, still has a volume after its last job, or runs an archive job outside all pools. `runs` are those
 * environments, in the form that messages use. `unreadable` are records that may name the machine when no readable
 * record does.
 */
async function machineWithoutItem(
  ctx: Context<"table" | "queue">,
  ledgers: readonly Ledger[],
  name: string,
): Promise<{ readonly machine: NodeRef; readonly runs: readonly string[] } | Pick<Ledger, "unreadable">> {
  const unpinned = ledgers.flatMap(({ makeable: { granted, held } }) => [...granted, ...held].map(({ key }) => key));
  const waiting = await listLivingKeys(ctx, ctx.clock.now() + CHECKED_WITHIN_MS);
  const { records, unreadable } = await readByKey(ctx, [...new Set([...unpinned, ...waiting.map(keyText)])]);
  const machines = records.flatMap(({ run }) => run.machines.filter((machine) => machine.name === name));
  const hosts = records.flatMap(({ end }) => end.archive?.silent ?? []).filter((host) => host.name === name);
  const machine = machines.find(({ silent }) => silent) ?? hosts[0] ?? machines[0];
  if (!machine) return { unreadable };
  const bound = records.filter(({ run, end }) =>
    [...run.machines, ...(end.archive?.silent ? [end.archive.silent] : [])].some(({ uid }) => uid === machine.uid),
  );
  return { machine, runs: bound.map((record) => keyText(toKey(record))) };
}

function unknownNode(name: string, unreadable: readonly string[]): Problem {
  const text = `Node '${name.slice(0, 100)}' not found`;
  if (unreadable.length === 0) return new Problem("notFound", text);
  const records = unreadable.slice(0, 10).join(", ");
  return new Problem("conflict", `${text}, but an unreadable record may name it: ${records}`);
}

/** Returns which of these nodes, by uid, the operator declared gone within the last 24 h, and when. */
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

/** Wraps `getMachineState`: the operator's declaration comes first, then the provider's answer. */
export function withOperatorWord(
  ctx: Pick<Context<"table">, "table" | "clock">,
  getMachine: Compute["getMachineState"],
): Compute["getMachineState"] {
  return async (node) => {
    const gone = await readGoneNodes(ctx, [node.uid], ctx.clock.now());
    return gone.has(node.uid) ? "gone" : getMachine(node);
  };
}

/** Changes the machine's ledger item, if it is still there. Throws `conflict` if it is unreadable. */
async function changeNode(
  ctx: Context<"table">,
  { pk, sk, name }: NodeLedger,
  decide: (node: NodeLedger) => NodeLedger | undefined,
): Promise<void> {
  await changeRecord(ctx, {
    async read() {
      const { records, unreadable } = await readLedgerItems(ctx, [keyText({ pk, sk })]);
      if (unreadable.size > 0) throw unknownNode(name, [...unreadable]);
      return records.find((item) => item.kind === "node");
    },
    decide: (node) => node && decide(node),
    what: "The ledger item is",
  });
}

/**
 * Withdraws the operator's declaration that a machine is dead. Lost runs stay lost and hold their units until they are
 * confirmed gone. The machine counts again after the next listing. Idempotent. Throws the same errors as
 * `declareNodeGone`.
 */
export async function returnNode(ctx: UserContext<"table" | "queue">, name: string): Promise<NodeRef> {
  const { machine, node } = await findDeclared(ctx, name, newestWord);
  // Reconciles read the declaration, so withdraw it first. If this process dies here, the next call still finds the
  // marked item.
  await takeWordBack(ctx, machine);
  // The machine counts once a listing has shown it.
  if (node)
    await changeNode(ctx, node, (item) => (item.saidAt === undefined ? undefined : { ...item, saidAt: undefined }));
  if (node) await planSoon(ctx, node.type);
  return machine;
}

/** Returns the machine that was declared dead last, or else the one that exists. */
function newestWord(nodes: readonly NodeLedger[]): NodeLedger | undefined {
  const said = nodes.filter(({ saidAt }) => saidAt !== undefined).toSorted((a, b) => (b.saidAt ?? 0) - (a.saidAt ?? 0));
  return said[0] ?? nodes.find(({ gone }) => !gone) ?? nodes[0];
}
