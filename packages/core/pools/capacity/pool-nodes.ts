import { findInstanceType, type InstanceType, unitsPerNode } from "../../fleet.ts";
import type { ComputeNode } from "../../ports/compute.ts";
import { nodeIdentity } from "../../store/keys.ts";
import type { Ledger, NodeLedger, PoolNode } from "../ledger/record.ts";
import { listedInterruption } from "./interruption.ts";

/** A machine that receives no grants because its data is invalid, and the reason. */
export interface LeftOut {
  readonly name: string;
  readonly why: string;
}

export interface Listing {
  /** The nodes of each pool, sorted by name. */
  readonly nodes: ReadonlyMap<string, readonly PoolNode[]>;
  readonly leftOut: readonly LeftOut[];
}

export type Known = Pick<Ledger, "type" | "nodes" | "unreadable">;

/**
 * Returns the machines of every pool: those that the cluster lists, and those whose ledger item still holds something.
 * Name, uid and provider id of an entry are unique, so a renamed, relabelled or replaced machine is never granted
 * twice.
 */
export function poolNodes(
  listed: readonly ComputeNode[],
  pools: readonly Known[],
  said: ReadonlyMap<string, number>,
  now: number,
): Listing {
  const leftOut: LeftOut[] = [];
  const owners = new Map<string, Owner>();
  for (const { type, nodes, unreadable } of pools) {
    for (const node of nodes) claim(owners, { pool: type, node });
    for (const node of [...unreadable].flatMap(namedBy)) claim(owners, { pool: type, node });
  }
  const taken = new Map<string, Map<string, PoolNode>>();
  const knownNodeLedgers = new Map(pools.flatMap(({ nodes }) => nodes.map((node) => [node.uid, node] as const)));
  for (const node of [...listed].sort(byName)) {
    const type = findInstanceType(node.instanceType);
    if (!type) continue;
    const why =
      findFault(node, type) ??
      (isUnreadable(pools, node) ? "its ledger item cannot be read" : findClash(owners, { pool: type.pool, node }));
    if (why !== undefined) {
      leftOut.push({ name: node.name, why });
      continue;
    }
    // The records that hold units on a new machine are not known yet, so a later listing adds it.
    if (node.unread && !knownNodeLedgers.has(node.uid)) continue;
    claim(owners, { pool: type.pool, node });
    const ofPool = taken.get(type.pool) ?? new Map<string, PoolNode>();
    taken.set(
      type.pool,
      ofPool.set(nodeIdentity(node), toEntry(node, knownNodeLedgers.get(node.uid), said.get(node.uid), now)),
    );
  }
  for (const pool of pools) keepHeld(pool, listed, taken);
  const nodes = [...taken].map(([pool, ofPool]) => [pool, [...ofPool.values()].sort(byName)] as const);
  return { nodes: new Map(nodes), leftOut };
}

/** `saidAt` is when the operator declared it gone. It overrides the listing. */
function toEntry(node: ComputeNode, ledger: NodeLedger | undefined, saidAt: number | undefined, now: number): PoolNode {
  const { name, uid, providerId, zone, group, ready, unready, fault, units } = node;
  const interruption = listedInterruption(ledger, node, now);
  const shown = { name, uid, providerId, zone, group, ready, unready, fault, interruption, units };
  const entry = { ...shown, ...unitsNotFree(node, ledger) };
  return saidAt === undefined ? entry : { ...entry, ready: false, gone: true, saidAt };
}

/** Returns the units that are not free. If its pods were not read, the machine keeps the values of the last listing. */
function unitsNotFree(
  node: ComputeNode,
  ledger: NodeLedger | undefined,
): Pick<PoolNode, "foreignUnits" | "leftoverUnits"> {
  if (!node.unread || !ledger) return { foreignUnits: node.foreignUnits, leftoverUnits: leftoverUnitsOn(node, ledger) };
  return { foreignUnits: Math.min(node.units, ledger.foreignUnits), leftoverUnits: ledger.leftoverUnits };
}

/**
 * Counts units of our runs on this machine that the ledger does not name, because the cluster placed them or they were
 * recreated too late. It counts by uid, since an earlier run of an environment may exist beside the named one.
 */
function leftoverUnitsOn({ runs = [] }: ComputeNode, ledger: NodeLedger | undefined): number {
  const bound = unitsByUid(runs);
  const named = unitsByUid([...(ledger?.granted ?? []), ...(ledger?.held ?? [])]);
  return [...bound].reduce((sum, [uid, units]) => sum + Math.max(0, units - (named.get(uid) ?? 0)), 0);
}

function unitsByUid(entries: readonly { readonly uid: string; readonly units: number }[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const { uid, units } of entries) found.set(uid, (found.get(uid) ?? 0) + units);
  return found;
}

function namedBy(item: string): Pick<ComputeNode, "name" | "uid" | "providerId">[] {
  const identity = item.slice(item.lastIndexOf("|") + 1);
  const at = identity.lastIndexOf("~");
  return at < 0 ? [] : [{ name: identity.slice(0, at), uid: identity.slice(at + 1), providerId: null }];
}

function isUnreadable(pools: readonly Known[], node: ComputeNode): boolean {
  const identity = nodeIdentity(node);
  return pools.some(({ unreadable }) => [...unreadable].some((item) => item.endsWith(`|${identity}`)));
}

interface Owner {
  readonly pool: string;
  readonly node: Pick<ComputeNode, "name" | "uid" | "providerId">;
}

function claim(owners: Map<string, Owner>, owner: Owner): void {
  for (const identity of listIdentities(owner)) owners.set(identity, owner);
}

/** Returns why the machine clashes with another. A node that changes its pool is in neither pool for one refresh. */
function findClash(owners: ReadonlyMap<string, Owner>, mine: Owner): string | undefined {
  const others = listIdentities(mine).flatMap((identity) => owners.get(identity) ?? []);
  const otherOther = others.find(
    ({ pool, node }) => pool !== mine.pool || node.name !== mine.node.name || node.uid !== mine.node.uid,
  );
  return otherOther && `it claims to be the machine of ${otherOther.node.name}`;
}

function listIdentities({ node: { name, uid, providerId } }: Owner): string[] {
  return [`name ${name}`, `uid ${uid}`, ...(providerId === null ? [] : [`machine ${providerId}`])];
}

function findFault({ name, uid, zone, units, foreignUnits }: ComputeNode, type: InstanceType): string | undefined {
  if (!isName(name) || !isName(uid)) return "its name or uid is invalid";
  if (!zone) return "its zone is missing";
  const most = unitsPerNode(type);
  if (!Number.isInteger(units) || units < 1 || units > most) return `its units are not from 1 to ${most}`;
  const isPart = Number.isInteger(foreignUnits) && foreignUnits >= 0 && foreignUnits <= units;
  return isPart ? undefined : "its foreign units are not from 0 to its units";
}

/** Reports whether this is a Kubernetes name. It excludes the separators of keys. */
function isName(value: unknown): boolean {
  return typeof value === "string" && /^[\w.:-]{1,253}$/.test(value);
}

function keepHeld(pool: Known, listed: readonly ComputeNode[], taken: Map<string, Map<string, PoolNode>>): void {
  const ofPool = taken.get(pool.type) ?? new Map<string, PoolNode>();
  for (const node of pool.nodes) {
    const identity = nodeIdentity(node);
    if (node.granted.length + node.held.length === 0 || ofPool.has(identity)) continue;
    const isGone = listed.every(({ uid }) => uid !== node.uid);
    const { name, uid, providerId, zone, group, units, foreignUnits, leftoverUnits, saidAt } = node;
    const kept = { name, uid, providerId, zone, group, ready: false, units, foreignUnits, leftoverUnits };
    const said = saidAt === undefined ? {} : { saidAt };
    ofPool.set(identity, { ...kept, ...said, ...(isGone ? { gone: true as const } : {}) });
  }
  if (ofPool.size > 0) taken.set(pool.type, ofPool);
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
