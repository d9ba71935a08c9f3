import { type ChangedNodes, mergeChangedNodes } from "#core/ports/changed-nodes.ts";
import type { BoundRun, ComputeNode, MachineState, NodeRef } from "#core/ports/compute.ts";
import { findSilence, isRunning, settle, toRunRef, unblock, unitsOn, type World } from "./memory-cluster.ts";
import { type MemoryRun, toObservation } from "./memory-run.ts";

/** Events of the machines of a memory Compute, beside those that the port causes. */
export interface MemoryNodes {
  /** Adds a node object, or replaces the one with its name or uid. */
  setNode(node: ComputeNode): void;
  /** Makes a node NotReady. Its runs continue unseen, and are removed only by force. */
  loseNode(name: string): void;
  /** Removes a node object, but not its machine (`setMachine`). */
  removeNode(name: string): void;
  /** Closes a node to new runs, or opens it again. Its runs continue, and its kubelet answers. */
  cordonNode(name: string, isCordoned: boolean): void;
  /** Sets the units that a node offers: none while its device plugin restarts. Its runs continue. */
  offerUnits(name: string, units: number): void;
  /** Returns the nodes that changed since the last call, as the watch reports them. */
  takeChangedNodes(): ChangedNodes | undefined;
  /** Brings a node back with the same uid. Runs that were removed from it by force end. */
  returnNode(name: string): void;
  /** Sets the provider's report about a node object's machine. `gone` ends all its runs. */
  setMachine(uid: string, state: MachineState): void;
  /** Reports whether a node object's machine is dead, independent of the provider's report. */
  isMachineGone(uid: string): boolean;
  /** Returns the units of bound, living runs on a node. */
  liveUnits(node: string): number;
  /** Returns the maximum of `liveUnits` so far. */
  peakUnits(node: string): number;
  /** Detaches a volume from this machine. */
  detach(volumeId: string, machine: NodeRef): void;
}

export function memoryNodes(world: World): MemoryNodes {
  function change(act: () => void): void {
    settle(world);
    const before = new Map(world.nodes);
    act();
    noteChanges(world, before);
    meetNodes(world);
  }
  return {
    setNode: (node) => change(() => setNode(world, node)),
    loseNode: (name) =>
      change(() => {
        const node = world.nodes.get(name);
        if (node) world.nodes.set(name, { ...node, ready: false, unready: "notReady" });
      }),
    cordonNode: (name, isCordoned) =>
      change(() => {
        const node = world.nodes.get(name);
        if (!node || (isCordoned ? !node.ready : node.unready !== "cordoned")) return;
        const { unready: _, ...rest } = node;
        world.nodes.set(name, isCordoned ? { ...rest, ready: false, unready: "cordoned" } : { ...rest, ready: true });
      }),
    offerUnits: (name, units) =>
      change(() => {
        const node = world.nodes.get(name);
        if (node && node.units !== units) world.nodes.set(name, { ...node, units });
      }),
    takeChangedNodes: () => {
      const changed = world.changedNodes;
      world.changedNodes = undefined;
      return changed;
    },
    removeNode: (name) => change(() => world.nodes.delete(name)),
    returnNode: (name) =>
      change(() => {
        const node = world.known.get(name);
        if (node) setNode(world, { ...node, ready: true });
      }),
    setMachine: (uid, state) => change(() => world.machines.set(uid, state)),
    isMachineGone: (uid) => world.machines.get(uid) === "gone",
    liveUnits: (node) => {
      settle(world);
      return unitsOn(world, node);
    },
    peakUnits: (node) => {
      settle(world);
      return world.peaks.get(node) ?? 0;
    },
    detach: (volumeId, machine) => {
      if (world.stuck.get(volumeId)?.node === machine.uid) world.stuck.delete(volumeId);
    },
  };
}

/** Notes all nodes if some came or went, and otherwise those that changed, as the watch does. */
function noteChanges(world: World, before: ReadonlyMap<string, ComputeNode>): void {
  const names = new Set([...before.keys(), ...world.nodes.keys()]);
  for (const name of names) {
    const [old, node] = [before.get(name), world.nodes.get(name)];
    if (old === node) continue;
    const changed = old?.uid === node?.uid ? new Set([name]) : "all";
    world.changedNodes = mergeChangedNodes(world.changedNodes, changed);
  }
}

/** Lists the nodes with their runs. */
export function listNodes(world: World): ComputeNode[] {
  const living = [...world.runs.values()].filter((it) => isRunning(world, it));
  const bound = Map.groupBy(
    living.flatMap((it) => boundRuns(world, it)),
    ({ node }) => node,
  );
  return [...world.nodes.values()].map((node) => {
    const runs = bound.get(node.uid)?.map(({ run }) => run);
    return runs ? { ...node, runs } : node;
  });
}

/** Returns the parts of a run on its nodes, by the node's uid. */
function boundRuns(world: World, it: MemoryRun): { readonly node: string; readonly run: BoundRun }[] {
  const { uid, run, shares } = it.run;
  const { nodes } = toObservation(it, world.access, (node) => findSilence(world, node));
  return nodes.map(({ uid: node, mark }, at) => ({ node, run: { uid, run, units: shares[at]?.units ?? 0, mark } }));
}

/** Leaves a run that was removed by force from a silent node: it continues there, and its volumes stay attached. */
export function leaveBehind(world: World, id: string, it: MemoryRun): void {
  const { uid, run, mounts } = it.run;
  const [first] = it.nodes;
  const deaf = it.nodes
    .map((node, index) => ({ node, share: it.run.shares[index] }))
    .filter(({ node }) => findSilence(world, node) !== null);
  const shares = deaf.flatMap(({ share }) => share ?? []);
  const ghost = { ...it, run: { ...it.run, shares }, nodes: deaf.map(({ node }) => node) };
  if (isRunning(world, ghost)) world.ghosts.set(id, ghost);
  if (!first || findSilence(world, first) === null) return;
  for (const { volume } of mounts) {
    world.stuck.set(volume.id, { uid, run, node: first.uid });
  }
}

function setNode(world: World, node: ComputeNode): void {
  for (const [name, entry] of world.nodes) if (entry.uid === node.uid) world.nodes.delete(name);
  world.nodes.set(node.name, node);
  world.known.set(node.name, node);
  if (node.ready || !world.machines.has(node.uid)) world.machines.set(node.uid, "running");
}

/**
 * Suspends runs on silent nodes, and resumes them when the nodes are back. A kubelet that is back ends removed runs.
 */
function meetNodes(world: World): void {
  const now = world.clock.now();
  for (const it of world.runs.values()) {
    const isLost = it.nodes.some((node) => findSilence(world, node) !== null);
    if (isLost === it.nodeLost) continue;
    it.nodeLost = isLost;
    world.signals.tell(toRunRef(it));
    it.since = isLost ? it.since : now;
    it.goneAt = isLost || !it.removing ? undefined : now + world.delays.removeMs;
  }
  for (const [id, it] of world.ghosts) {
    if (!isRunning(world, it) || it.nodes.every((node) => findSilence(world, node) === null)) world.ghosts.delete(id);
  }
  for (const [volume, { node }] of world.stuck) {
    if ([...world.nodes.values()].some(({ uid, ready }) => uid === node && ready)) world.stuck.delete(volume);
  }
  unblock(world, now);
}
