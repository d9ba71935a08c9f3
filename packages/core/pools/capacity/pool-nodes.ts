import { findInstanceType, type InstanceType, unitsPerNode } from "../../fleet.ts";
import type { ComputeNode } from "../../ports/compute.ts";
import { nodeIdentity } from "../../store/keys.ts";
import type { Ledger, NodeLedger, PoolNode } from "../ledger/record.ts";

/** A machine that is given to nobody, and why: it says something of itself that cannot be. */
export interface LeftOut {
  readonly name: string;
  readonly why: string;
}

export interface Listing {
  /** The nodes of each pool, sorted by name. */
  readonly nodes: ReadonlyMap<string, readonly PoolNode[]>;
  readonly leftOut: readonly LeftOut[];
}

/** What is known of a pool's machines: its ledger items, and the keys of those that cannot be read. */
export type Known = Pick<Ledger, "type" | "nodes" | "unreadable">;

/**
 * The machines of every pool: those that the cluster lists, and those on which a ledger item holds something, which keep
 * their entry until their records let go. Name, uid and provider id of an entry belong to it alone: who runs on a machine
 * that was renamed, relabelled or replaced under its name shares it with nobody.
 */
export function poolNodes(
  listed: readonly ComputeNode[],
  pools: readonly Known[],
  said: ReadonlyMap<string, number>,
): Listing {
  const leftOut: LeftOut[] = [];
  const owners = new Map<string, Owner>();
  for (const { type, nodes, unreadable } of pools) {
    for (const node of nodes) claim(owners, { pool: type, node });
    for (const node of [...unreadable].flatMap(namedBy)) claim(owners, { pool: type, node });
  }
  const taken = new Map<string, Map<string, PoolNode>>();
  const known = new Map(pools.flatMap(({ nodes }) => nodes.map((node) => [node.uid, node] as const)));
  for (const node of [...listed].sort(byName)) {
    const type = findInstanceType(node.instanceType);
    if (!type) continue;
    const why =
      faultOf(node, type) ??
      (isUnreadable(pools, node) ? "its ledger item cannot be read" : clashOf(owners, { pool: type.pool, node }));
    if (why !== undefined) {
      leftOut.push({ name: node.name, why });
      continue;
    }
    // What others have of a new machine is not known yet, so it is added by a later listing.
    if (node.unread && !known.has(node.uid)) continue;
    claim(owners, { pool: type.pool, node });
    const ofPool = taken.get(type.pool) ?? new Map<string, PoolNode>();
    taken.set(type.pool, ofPool.set(nodeIdentity(node), entryOf(node, known.get(node.uid), said.get(node.uid))));
  }
  for (const pool of pools) keepHeld(pool, listed, taken);
  const nodes = [...taken].map(([pool, ofPool]) => [pool, [...ofPool.values()].sort(byName)] as const);
  return { nodes: new Map(nodes), leftOut };
}

/** `saidAt`: when the operator called it gone, whatever the list says of it. */
function entryOf(node: ComputeNode, ledger: NodeLedger | undefined, saidAt: number | undefined): PoolNode {
  const { name, uid, providerId, zone, ready, unready, units } = node;
  const entry = { name, uid, providerId, zone, ready, unready, units, ...unitsNotFree(node, ledger) };
  return saidAt === undefined ? entry : { ...entry, ready: false, gone: true, saidAt };
}

/** A machine whose pods were not read keeps what the last listing of them found. */
function unitsNotFree(
  node: ComputeNode,
  ledger: NodeLedger | undefined,
): Pick<PoolNode, "foreignUnits" | "leftoverUnits"> {
  if (!node.unread || !ledger) return { foreignUnits: node.foreignUnits, leftoverUnits: leftoverUnitsOn(node, ledger) };
  return { foreignUnits: Math.min(node.units, ledger.foreignUnits), leftoverUnits: ledger.leftoverUnits };
}

/**
 * Counts the units of our runs that are bound there and that the ledger does not name: the cluster placed them, or they
 * were made again too late. They are counted by uid, since an earlier run of an environment may be there beside the one
 * that the ledger names.
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

/** The node object of a ledger item that cannot be read, as its key says it. */
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
  for (const identity of identitiesOf(owner)) owners.set(identity, owner);
}

/** Names who clashes. Another type is another owner: a node that changes its pool is in neither for one refresh. */
function clashOf(owners: ReadonlyMap<string, Owner>, mine: Owner): string | undefined {
  const others = identitiesOf(mine).flatMap((identity) => owners.get(identity) ?? []);
  const other = others.find(
    ({ pool, node }) => pool !== mine.pool || node.name !== mine.node.name || node.uid !== mine.node.uid,
  );
  return other && `it says that it is the machine of ${other.node.name}`;
}

function identitiesOf({ node: { name, uid, providerId } }: Owner): string[] {
  return [`name ${name}`, `uid ${uid}`, ...(providerId === null ? [] : [`machine ${providerId}`])];
}

/** Why nothing that it says of itself can be counted with. */
function faultOf({ name, uid, zone, units, foreignUnits }: ComputeNode, type: InstanceType): string | undefined {
  if (!isName(name) || !isName(uid)) return "its name or uid is no name";
  if (!zone) return "its zone is no text";
  const most = unitsPerNode(type);
  if (!Number.isInteger(units) || units < 1 || units > most) return `its units are no number of 1 to ${most}`;
  const isPart = Number.isInteger(foreignUnits) && foreignUnits >= 0 && foreignUnits <= units;
  return isPart ? undefined : "its units in other hands are no part of what it has";
}

/** As Kubernetes has them; what divides the parts of a key is in none. */
function isName(value: unknown): boolean {
  return typeof value === "string" && /^[\w.:-]{1,253}$/.test(value);
}

function keepHeld(pool: Known, listed: readonly ComputeNode[], taken: Map<string, Map<string, PoolNode>>): void {
  const ofPool = taken.get(pool.type) ?? new Map<string, PoolNode>();
  for (const node of pool.nodes) {
    const identity = nodeIdentity(node);
    if (node.granted.length + node.held.length === 0 || ofPool.has(identity)) continue;
    const isGone = listed.every(({ uid }) => uid !== node.uid);
    const { name, uid, providerId, zone, units, foreignUnits, leftoverUnits, saidAt } = node;
    const kept = { name, uid, providerId, zone, ready: false, units, foreignUnits, leftoverUnits };
    const said = saidAt === undefined ? {} : { saidAt };
    ofPool.set(identity, { ...kept, ...said, ...(isGone ? { gone: true as const } : {}) });
  }
  if (ofPool.size > 0) taken.set(pool.type, ofPool);
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
