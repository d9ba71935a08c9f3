import { isInParts } from "#core/pools/capacity/pool-parts.ts";
import type { ChangedNodes } from "#core/ports/changed-nodes.ts";
import type { Clock } from "#core/ports/clock.ts";
import type { ComputeNode, MachineState, NodeRef, RunRef, Share, Silence } from "#core/ports/compute.ts";
import type { RunLog } from "#core/ports/run-log.ts";
import {
  type AccessOptions,
  bindable,
  type MemoryRun,
  nextTransition,
  type Outcome,
  type StepDelays,
  type Transition,
} from "./memory-run.ts";

/** Event of a run with its time. */
export interface ComputeEvent {
  readonly at: number;
  readonly kind: "applied" | "bound" | "started" | "ended" | "gone";
  readonly uid: string;
  readonly run: number;
}

/** Followers of the runs of a fake. */
export interface Signals {
  tell(run: RunRef): void;
}

const logBytes = 1024 * 1024;
const noLog: RunLog = { start: 0, bytes: new Uint8Array() };

/** Outcome of the runs of a uid, and their output at the start and after SIGTERM. */
export interface Program {
  readonly outcome: Outcome;
  readonly ignoresTerm: boolean;
  readonly log: string;
  readonly lastWords: string;
}

/** State of the fake Compute. */
export interface World {
  readonly clock: Clock;
  readonly delays: StepDelays;
  readonly access: AccessOptions;
  readonly nodes: Map<string, ComputeNode>;
  /** Last version of each node, by name. */
  readonly known: Map<string, ComputeNode>;
  /** States that the provider reports, by the node's uid. */
  readonly machines: Map<string, MachineState>;
  readonly runs: Map<string, MemoryRun>;
  /** Parts that `listParts` reports, by the run's name. */
  readonly parts: Map<string, RunRef>;
  /** End of each removed run's tombstone, by the run's name. */
  readonly tombstones: Map<string, number>;
  /** Reports whether a volume of this id can be attached. */
  readonly hasVolume: (id: string) => boolean;
  /** Whether removals leave requested tombstones. */
  readonly leavesTombstones: boolean;
  /** Whether the command of a run of several machines waits for `begin`. */
  readonly gates: boolean;
  /** Runs that were removed by force but continue on a silent node. */
  readonly ghosts: Map<string, MemoryRun>;
  /** Volumes that such runs left attached, with their node. */
  readonly stuck: Map<string, { readonly uid: string; readonly run: number; readonly node: string }>;
  readonly outcomes: Map<string, Program>;
  readonly logs: Map<string, RunLog>;
  readonly starts: Map<string, number>;
  /** Uids of runs whose command began on any machine. */
  readonly begun: Set<string>;
  readonly peaks: Map<string, number>;
  /** Silent ports by uid. */
  readonly silent: Map<string, Set<number>>;
  readonly history: ComputeEvent[];
  /** Changed runs, in order. */
  readonly signals: Signals;
  /** Nodes that changed since they were taken, as the watch reports them. */
  changedNodes: ChangedNodes | undefined;
  /** Time before which nothing happens by itself; 0 after a change from outside. */
  quietUntil: number;
}

/** Applies all due transitions, the earliest first, so that peaks and history are right. */
export function settle(world: World): void {
  const now = world.clock.now();
  if (now < world.quietUntil) return;
  for (;;) {
    world.quietUntil = Number.POSITIVE_INFINITY;
    let first: { it: MemoryRun; transition: Transition } | undefined;
    for (const it of world.runs.values()) {
      const transition = nextTransition(it, world.delays);
      if (transition && transition.at > now) world.quietUntil = Math.min(world.quietUntil, transition.at);
      if (!transition || transition.at > now) continue;
      if (!first || isBefore(transition, first.transition)) first = { it, transition };
    }
    if (!first) return;
    move(world, first.it, first.transition);
  }
}

function isBefore(left: Transition, right: Transition): boolean {
  const frees = (transition: Transition) => transition.to === "gone" || transition.to === "ended";
  return left.at < right.at || (left.at === right.at && frees(left) && !frees(right));
}

/** Applies one transition to the run, nodes, counts and history. */
export function move(world: World, it: MemoryRun, transition: Transition): void {
  world.quietUntil = 0;
  world.signals.tell(toRunRef(it));
  const { at, to } = transition;
  const id = runName(it.run.uid, it.run.run);
  const happened = (kind: ComputeEvent["kind"]) => world.history.push({ at, kind, uid: it.run.uid, run: it.run.run });
  if (to === "begun") {
    begin(world, it);
    return;
  }
  if (to === "image" && !bind(world, it)) {
    it.blocked = true;
    return;
  }
  if (to === "gone") {
    world.runs.delete(id);
    world.logs.delete(id);
    happened("gone");
    unblock(world, at);
    return;
  }
  if (to === "image") happened("bound");
  if (to === "probe") {
    if (!it.started) begin(world, it);
    world.starts.set(id, (world.starts.get(id) ?? 0) + 1);
    happened("started");
  }
  it.state = to;
  it.since = at;
  if (to !== "ended") return;
  it.exitCode = transition.exitCode ?? null;
  it.reason = transition.reason ?? null;
  happened("ended");
  unblock(world, at);
}

/** Begins the command on all machines of the run, or on those that it has. */
function begin(world: World, it: MemoryRun): void {
  const id = runName(it.run.uid, it.run.run);
  it.started = true;
  world.begun.add(it.run.uid);
  print(world, id, world.outcomes.get(it.run.uid)?.log ?? "");
}

/**
 * Binds the machines of a run one by one, to any node with room if a share names none. Returns false if one cannot be
 * bound. Earlier ones then stay bound, and begin.
 */
function bind(world: World, it: MemoryRun): boolean {
  if (it.nodes.length === 0 && isMountedElsewhere(world, it)) return false;
  const most = bindable(it);
  for (const share of it.run.shares.slice(it.nodes.length, most)) {
    const { node, units } = share;
    const name = node === null ? roomyNode(world, it, share) : node;
    const found = name === undefined ? undefined : world.nodes.get(name);
    if (!found?.ready || (node !== null && isTaken(world, found, units))) return false;
    it.partSince ??= world.clock.now();
    it.lacksVolume = it.run.mounts.some(({ volume }) => !world.hasVolume(volume.id));
    it.nodes = [...it.nodes, { name: found.name, uid: found.uid, providerId: found.providerId }];
    world.peaks.set(name ?? "", Math.max(world.peaks.get(name ?? "") ?? 0, unitsOn(world, name ?? "")));
  }
  if (most < it.run.shares.length) return false;
  it.state = "image";
  return true;
}

/** Reports whether a run for which the scheduler chose this node leaves too little room for another. */
function isTaken(world: World, { name, units: all }: ComputeNode, units: number): boolean {
  const isChosen = [...world.runs.values()].some(
    (it) => isRunning(world, it) && it.nodes.some((node, n) => node.name === name && it.run.shares[n]?.node === null),
  );
  return isChosen && all - unitsOn(world, name) < units;
}

/**
 * Reports whether another run has mounted a volume. Claims are ReadWriteOncePod, so a second pod waits
 * (docs/architecture/consistency.md#paused-workers).
 */
function isMountedElsewhere(world: World, it: MemoryRun): boolean {
  const mine = new Set(it.run.mounts.map(({ volume }) => volume.id));
  if ([...mine].some((volume) => world.stuck.has(volume))) return true;
  return [...world.runs.values()].some((otherRun) => {
    return (
      otherRun !== it && otherRun.nodes.length > 0 && otherRun.run.mounts.some(({ volume }) => mine.has(volume.id))
    );
  });
}

/** Finds a node with room in the zones of the share and of the volumes, and in the group of the share. */
function roomyNode(world: World, { run, nodes: taken }: MemoryRun, { units, zone, group }: Share): string | undefined {
  const zones = [zone, ...run.mounts.map(({ volume }) => volume.zone)].filter(Boolean);
  for (const node of world.nodes.values()) {
    if (!node.ready || node.instanceType !== run.instanceType || taken.some(({ uid }) => uid === node.uid)) continue;
    if (zones.some((name) => name !== node.zone) || isInParts(run.avoids ?? [], node)) continue;
    if (group !== undefined && node.group !== group) continue;
    if (unitsOn(world, node.name) + node.foreignUnits + units <= node.units) return node.name;
  }
  return undefined;
}

/** Returns why this node object's kubelet is silent; null if it answers. */
export function findSilence({ nodes }: World, { uid }: NodeRef): Silence | null {
  for (const node of nodes.values()) {
    if (node.uid === uid) return node.ready || node.unready === "cordoned" ? null : "notReady";
  }
  return "missing";
}

/** Returns the provider's report. It knows every machine that was ever a node with a provider id. */
export function getMachine({ machines }: World, { uid, providerId }: NodeRef): MachineState {
  return providerId === null ? "unknown" : (machines.get(uid) ?? "gone");
}

/** Returns the units that runs hold on a node. Runs that were removed by force but continue there count. */
export function unitsOn(world: World, name: string): number {
  const uid = world.nodes.get(name)?.uid;
  let units = 0;
  for (const it of [...world.runs.values(), ...world.ghosts.values()]) {
    if (!isRunning(world, it)) continue;
    it.nodes.forEach((node, index) => {
      const isHere = uid === undefined ? node.name === name : node.uid === uid;
      if (isHere && getMachine(world, node) !== "gone") units += it.run.shares[index]?.units ?? 0;
    });
  }
  return units;
}

/** Reports whether any part of a run is running on a machine. */
export function isRunning(world: World, it: MemoryRun): boolean {
  return it.state !== "ended" && it.nodes.some((node) => getMachine(world, node) !== "gone");
}

/** Adds to the output of a command, of which the newest MiB is kept. */
export function print(world: World, id: string, printed: string | Uint8Array): void {
  const { start, bytes: before } = readPrinted(world, id);
  const added = typeof printed === "string" ? new TextEncoder().encode(printed) : printed;
  const cut = Math.max(0, before.length + added.length - logBytes);
  const all = new Uint8Array(before.length + added.length);
  all.set(before);
  all.set(added, before.length);
  world.logs.set(id, { start: start + cut, bytes: all.subarray(cut) });
}

export function readPrinted(world: World, id: string): RunLog {
  return world.logs.get(id) ?? noLog;
}

/** Lets runs try again that no node could take. */
export function unblock(world: World, now: number): void {
  world.quietUntil = 0;
  for (const it of world.runs.values()) {
    if (!it.blocked) continue;
    it.blocked = false;
    it.since = Math.max(it.since, now - world.delays.bindMs);
  }
}

export function toRunRef({ run: { uid, run, key } }: MemoryRun): RunRef {
  return { uid, run, key };
}

/** Returns the name from which all names of a run derive. */
export function runName(uid: string, run: number): string {
  return `${uid}-r${run}`;
}
