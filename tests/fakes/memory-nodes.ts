import type { BoundRun, ComputeNode, MachineState, NodeRef } from "#core/ports/compute.ts";
import { findSilence, isRunning, settle, toRunRef, unblock, unitsOn, type World } from "./memory-cluster.ts";
import { type MemoryRun, toObservation } from "./memory-run.ts";

/** What may happen to the machines of a memory Compute, beside what the port itself asks for. */
export interface MemoryNodes {
  /** Adds a node object, or replaces the one of that name or uid: a new label, another name, another machine. */
  setNode(node: ComputeNode): void;
  /** The node becomes NotReady: what runs there goes on unseen, and is removed only by force. */
  loseNode(name: string): void;
  /** Its node object goes; whether the machine does is up to `setMachine`. */
  removeNode(name: string): void;
  /** The node of this name is back and ready, with the same uid; what was removed from it by force meanwhile is ended. */
  returnNode(name: string): void;
  /** What the provider says of the machine behind a node object: `gone` ends all that ran there. */
  setMachine(uid: string, state: MachineState): void;
  /** Whether the machine behind a node object is dead, whatever the provider says. */
  isMachineGone(uid: string): boolean;
  /** Units of the node that runs hold now: bound, and neither ended nor gone. */
  liveUnits(node: string): number;
  /** The most that `liveUnits` ever was. */
  peakUnits(node: string): number;
  /** Takes a volume off this machine. */
  detach(volumeId: string, machine: NodeRef): void;
}

export function memoryNodes(world: World): MemoryNodes {
  function change(act: () => void): void {
    settle(world);
    act();
    meetNodes(world);
  }
  return {
    setNode: (node) => change(() => setNode(world, node)),
    loseNode: (name) =>
      change(() => {
        const node = world.nodes.get(name);
        if (node) world.nodes.set(name, { ...node, ready: false, unready: "notReady" });
      }),
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

/** The nodes, each with what runs there. */
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

/** What of a run is on each of its nodes, by the uid of that. */
function boundRuns(world: World, it: MemoryRun): { readonly node: string; readonly run: BoundRun }[] {
  const { uid, run, shares } = it.run;
  const { nodes } = toObservation(it, world.access, (node) => findSilence(world, node));
  return nodes.map(({ uid: node, mark }, at) => ({ node, run: { uid, run, units: shares[at]?.units ?? 0, mark } }));
}

/** A run that was removed by force from a node that does not answer: it runs on there, and its volumes stay attached. */
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

/** Runs stand still on nodes that do not answer and go on when these are back; a kubelet that is back ends what is not its own. */
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
