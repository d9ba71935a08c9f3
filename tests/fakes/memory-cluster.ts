import type { Clock } from "#core/ports/clock.ts";
import type { ComputeNode, MachineState, NodeRef, RunRef, Silence } from "#core/ports/compute.ts";
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

/** One thing that happened to a run, at the time at which it did. */
export interface ComputeEvent {
  readonly at: number;
  readonly kind: "applied" | "bound" | "started" | "ended" | "gone";
  readonly uid: string;
  readonly run: number;
}

/** Whoever follows the runs of a fake. */
export interface Signals {
  tell(run: RunRef): void;
}

const logBytes = 1024 * 1024;
const noLog: RunLog = { start: 0, bytes: new Uint8Array() };

/** What becomes of the runs of a uid, and what their command prints: as it begins, and when it is asked to end. */
export interface Program {
  readonly outcome: Outcome;
  readonly ignoresTerm: boolean;
  readonly log: string;
  readonly lastWords: string;
}

/** What the fake Compute holds. */
export interface World {
  readonly clock: Clock;
  readonly delays: StepDelays;
  readonly access: AccessOptions;
  readonly nodes: Map<string, ComputeNode>;
  /** Nodes as they were last set, by name. */
  readonly known: Map<string, ComputeNode>;
  /** What the provider says, by the uid of the node. */
  readonly machines: Map<string, MachineState>;
  readonly runs: Map<string, MemoryRun>;
  /** What runs have beside what is seen of them, by the name of the run. */
  readonly parts: Map<string, RunRef>;
  /** When the tombstone of each removed run goes, by the name of the run. */
  readonly tombstones: Map<string, number>;
  /** Whether a volume of this id is there to be attached. */
  readonly hasVolume: (id: string) => boolean;
  /** Whether removals leave the tombstones that they are asked for. */
  readonly leavesTombstones: boolean;
  /** Whether the command of a run of several machines waits to be let begin. */
  readonly gates: boolean;
  /** Runs that were removed by force and go on all the same, on a node that does not answer. */
  readonly ghosts: Map<string, MemoryRun>;
  /** Volumes that such a run left attached, with the uid of their node. */
  readonly stuck: Map<string, { readonly uid: string; readonly run: number; readonly node: string }>;
  readonly outcomes: Map<string, Program>;
  readonly logs: Map<string, RunLog>;
  readonly starts: Map<string, number>;
  /** The uids of which any command began. */
  readonly begun: Set<string>;
  readonly peaks: Map<string, number>;
  /** By uid, the ports on which nothing of it answers. */
  readonly silent: Map<string, Set<number>>;
  readonly history: ComputeEvent[];
  /** Tells of each run that changed, in the order in which that happened. */
  readonly signals: Signals;
  /** Nothing happens by itself before this moment; 0 once somebody changed something. */
  quietUntil: number;
}

/** Applies every transition that is due, the earliest first, so that peaks and history are what really was. */
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

/** One transition, with what it means for nodes, counts and history. */
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

/** Its command begins, on all of its machines or on those that it has. */
function begin(world: World, it: MemoryRun): void {
  const id = runName(it.run.uid, it.run.run);
  it.started = true;
  world.begun.add(it.run.uid);
  print(world, id, world.outcomes.get(it.run.uid)?.log ?? "");
}

/**
 * Puts its machines on their nodes one after the other, each on any with room where its share names none; false when one
 * cannot be taken: those before it stay where they are, and begin.
 */
function bind(world: World, it: MemoryRun): boolean {
  if (it.nodes.length === 0 && isMountedElsewhere(world, it)) return false;
  const most = bindable(it);
  for (const { node, units } of it.run.shares.slice(it.nodes.length, most)) {
    const name = node === null ? roomyNode(world, it.run.instanceType, units, it.nodes) : node;
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

/** Whether somebody for whom the cluster itself chose this node leaves no room: its scheduler then binds nobody else there. */
function isTaken(world: World, { name, units: all }: ComputeNode, units: number): boolean {
  const isChosen = [...world.runs.values()].some(
    (it) => isRunning(world, it) && it.nodes.some((node, n) => node.name === name && it.run.shares[n]?.node === null),
  );
  return isChosen && all - unitsOn(world, name) < units;
}

/**
 * Volume claims are ReadWriteOncePod: a second pod with the volume waits
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

function roomyNode(world: World, type: string, units: number, taken: readonly NodeRef[]): string | undefined {
  for (const node of world.nodes.values()) {
    if (!node.ready || node.instanceType !== type || taken.some(({ uid }) => uid === node.uid)) continue;
    if (unitsOn(world, node.name) + node.foreignUnits + units <= node.units) return node.name;
  }
  return undefined;
}

/** Whether the kubelet of this node object can be reached, and how not. */
export function findSilence({ nodes }: World, { uid }: NodeRef): Silence | null {
  for (const node of nodes.values()) if (node.uid === uid) return node.ready ? null : "notReady";
  return "missing";
}

/** What the provider says; it knows every machine that ever was a node with a provider id. */
export function getMachine({ machines }: World, { uid, providerId }: NodeRef): MachineState {
  return providerId === null ? "unknown" : (machines.get(uid) ?? "gone");
}

/** Units of the node that runs hold: bound, and neither ended nor gone, or removed by force and still running there. */
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

/** Whether anything of it runs on some machine. */
export function isRunning(world: World, it: MemoryRun): boolean {
  return it.state !== "ended" && it.nodes.some((node) => getMachine(world, node) !== "gone");
}

/** Adds to what a command has printed, of which the newest MiB is kept. */
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

/** Lets runs that no node could take try again. */
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

/** The name that everything of a run derives from. */
export function runName(uid: string, run: number): string {
  return `${uid}-r${run}`;
}
