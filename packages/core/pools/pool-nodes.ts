import type { ComputeNode } from "../context.ts";
import { findInstanceType, type InstanceType, unitsPerNode } from "../fleet.ts";
import type { Grant, Pool, PoolNode } from "./record.ts";

/** A machine that is given to nobody, and why: it says something of itself that cannot be. */
export interface LeftOut {
  readonly name: string;
  readonly why: string;
}

export interface Listing {
  /** By pool, sorted by name. */
  readonly nodes: ReadonlyMap<string, readonly PoolNode[]>;
  readonly leftOut: readonly LeftOut[];
}

/**
 * The machines of every pool: those that the cluster lists, and those on which a ledger holds something, which keep
 * their entry until their records let go. Name, uid and provider id of an entry belong to it alone: who runs on a machine
 * that was renamed, relabelled or replaced under its name shares it with nobody.
 */
export function poolNodes(
  listed: readonly ComputeNode[],
  pools: readonly Pool[],
  said: ReadonlyMap<string, number>,
): Listing {
  const leftOut: LeftOut[] = [];
  const owners = new Map<string, Owner>();
  for (const { type, nodes } of pools) for (const node of nodes) claim(owners, { pool: type, node });
  const taken = new Map<string, Map<string, PoolNode>>();
  for (const node of [...listed].sort(byName)) {
    const type = findInstanceType(node.instanceType);
    if (!type) continue;
    const why = faultOf(node, type) ?? clashOf(owners, { pool: type.pool, node });
    if (why !== undefined) {
      leftOut.push({ name: node.name, why });
      continue;
    }
    claim(owners, { pool: type.pool, node });
    const ofPool = taken.get(type.pool) ?? new Map<string, PoolNode>();
    taken.set(type.pool, ofPool.set(node.name, entryOf(node, said.get(node.uid))));
  }
  for (const pool of pools) keepHeld(pool, listed, taken);
  const nodes = [...taken].map(([pool, ofPool]) => [pool, [...ofPool.values()].sort(byName)] as const);
  return { nodes: new Map(nodes), leftOut };
}

/** What of the ledger's holdings and grants lies on a node. */
export function holdingsOn(pool: Pick<Pool, "granted" | "held">, name: string): readonly Grant[] {
  return [...pool.granted, ...pool.held].filter(({ shares }) => shares.some(({ node }) => node === name));
}

/** `saidAt`: when the operator called it gone, whatever the list says of it. */
function entryOf(node: ComputeNode, saidAt: number | undefined): PoolNode {
  const { name, uid, providerId, zone, ready, units, foreignUnits } = node;
  const entry = { name, uid, providerId, zone, ready, units, foreignUnits };
  return saidAt === undefined ? entry : { ...entry, ready: false, gone: true, saidAt };
}

interface Owner {
  readonly pool: string;
  readonly node: Pick<ComputeNode, "name" | "uid" | "providerId">;
}

function claim(owners: Map<string, Owner>, owner: Owner): void {
  for (const identity of identitiesOf(owner)) owners.set(identity, owner);
}

/** Of another type it is another owner: a node that changes its pool is in neither for one refresh. */
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
  if (!name || !uid) return "its name or uid is no text";
  if (!zone) return "its zone is no text";
  const most = unitsPerNode(type);
  if (!Number.isInteger(units) || units < 1 || units > most) return `its units are no number of 1 to ${most}`;
  const isPart = Number.isInteger(foreignUnits) && foreignUnits >= 0 && foreignUnits <= units;
  return isPart ? undefined : "its units in other hands are no part of what it has";
}

function keepHeld(pool: Pool, listed: readonly ComputeNode[], taken: Map<string, Map<string, PoolNode>>): void {
  const held = new Set([...pool.granted, ...pool.held].flatMap(({ shares }) => shares.map(({ node }) => node)));
  const ofPool = taken.get(pool.type) ?? new Map<string, PoolNode>();
  for (const node of pool.nodes) {
    if (!held.has(node.name) || ofPool.has(node.name)) continue;
    const isGone = listed.every(({ uid }) => uid !== node.uid);
    const { gone, ...rest } = node;
    ofPool.set(node.name, { ...rest, ready: false, ...(isGone ? { gone: true as const } : {}) });
  }
  if (ofPool.size > 0) taken.set(pool.type, ofPool);
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
