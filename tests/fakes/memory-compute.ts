import type { Clock } from "#core/ports/clock.ts";
import type { Access, Compute, ComputeNode, Removal, Resources, Run, RunRef } from "#core/ports/compute.ts";
import { RunBound, RunRefused } from "#core/problem.ts";
import { copyOfData } from "../fixtures/plain-data.ts";
import {
  type ComputeEvent,
  findSilence,
  getMachine,
  isRunning,
  move,
  type Program,
  print,
  readPrinted,
  runName,
  settle,
  toRunRef,
  type World,
} from "./memory-cluster.ts";
import { type MemoryExecs, memoryExecs, type RunLife } from "./memory-exec.ts";
import { leaveBehind, listNodes, type MemoryNodes, memoryNodes } from "./memory-nodes.ts";
import { type MemoryPosts, memoryPosts } from "./memory-posts.ts";
import {
  type AccessOptions,
  evicted,
  goneAfterRemoval,
  isAnswering,
  type MemoryRun,
  type Outcome,
  type StepDelays,
  toObservation,
  waitsToBegin,
} from "./memory-run.ts";
import { memorySignals } from "./memory-signals.ts";

export interface MemoryCompute extends Compute, MemoryPosts, MemoryExecs, MemoryNodes {
  /** Sets the outcome and the output of later runs of this uid. */
  program(uid: string, outcome: Outcome, options?: Partial<Omit<Program, "outcome">>): void;
  /** Returns the outcome of later runs of this uid, if set. */
  programmed(uid: string): Outcome | undefined;
  /** Adds to the output of a run's command. */
  print(uid: string, run: number, printed: string | Uint8Array): void;
  /** Makes a port of the uid's runs silent, or ends this. With a silent port, none becomes ready. */
  setSilent(uid: string, port: number, isSilent: boolean): void;
  /** Sets since when the GPUs of the uid's runs are idle. undefined, the default: unknown. */
  setGpuIdle(uid: string, since: number | undefined): void;
  /** Returns the present resources of a run. */
  resources(uid: string, run: number): Resources | null | undefined;
  /** Ends a run as a signal to its command would. */
  kill(uid: string, run: number, signal?: string): void;
  /** Ends a run as the drain of its machine would. */
  evict(uid: string, run: number): void;
  /** Leaves the parts of an `apply` that died before the run became visible. */
  applyParts(run: RunRef): void;
  /** Reports whether some machines of a run are bound and others are not. */
  isBoundInPart(uid: string, run: number): boolean;
  /** Reports whether a tombstone prevents the start of this run now. */
  hasTombstone(uid: string, run: number): boolean;
  /** Removes the tombstone of a run early. */
  loseTombstone(uid: string, run: number): void;
  /** Reports whether any part of the run occupies its node. */
  isLive(uid: string, run: number): boolean;
  /** Returns the runs that have this volume mounted. */
  mounting(volumeId: string): readonly { readonly uid: string; readonly run: number }[];
  /** Returns the access that was set last. */
  access(uid: string, run: number): Access | undefined;
  /** Counts the starts of a run's command on all its machines. More than 1 means that it ran twice. */
  starts(uid: string, run: number): number;
  /** Reports whether the command of any run of this uid ever began on any machine. */
  hasBegun(uid: string): boolean;
  /** Returns all events in order of time. */
  history(): readonly ComputeEvent[];
  /** Returns the runs that changed since the last call, as `changes` reports them. */
  takeChanged(): RunRef[];
  /** Returns the time of the next event that happens by itself; infinite: never. */
  nextChangeAt(): number;
}

export type MemoryComputeOptions = Partial<StepDelays> & {
  readonly access?: Partial<AccessOptions>;
  readonly clock: Clock;
  readonly nodes: readonly ComputeNode[];
  /** Reports whether a volume of this id can be attached. By default, all can. */
  readonly hasVolume?: (id: string) => boolean;
  /** Whether a removal leaves requested tombstones, by default true. */
  readonly leavesTombstones?: boolean;
  /** Whether the command of a run of several machines waits for `begin`, by default false. */
  readonly gates?: boolean;
};

/**
 * Compute in memory. Nothing happens between calls; each first brings the state up to the clock. A pinned share is
 * bound even on a full node, so that a slot that is held twice shows in `liveUnits` and `peakUnits`.
 */
export function memoryCompute(options: MemoryComputeOptions): MemoryCompute {
  const { clock, nodes, access, hasVolume = () => true, leavesTombstones = true, gates = false, ...delays } = options;
  const signals = memorySignals(() => [...world.runs.values()].map(toRunRef));
  const world: World = {
    clock,
    delays: { bindMs: 0, imageMs: 0, containerMs: 0, probeMs: 0, removeMs: 0, ...delays },
    access: { sshPort: null, jupyterFault: null, ...access },
    nodes: new Map(nodes.map((node) => [node.name, node])),
    known: new Map(nodes.map((node) => [node.name, node])),
    machines: new Map(nodes.map((node) => [node.uid, "running"])),
    runs: new Map(),
    parts: new Map(),
    tombstones: new Map(),
    hasVolume,
    leavesTombstones,
    gates,
    ghosts: new Map(),
    stuck: new Map(),
    outcomes: new Map(),
    logs: new Map(),
    starts: new Map(),
    begun: new Set(),
    peaks: new Map(),
    silent: new Map(),
    history: [],
    signals,
    changedNodes: undefined,
    quietUntil: 0,
  };
  const posts = memoryPosts((uid, run) => findListening(world, runName(uid, run)));
  const { sessions, ...execs } = memoryExecs(clock, (uid, run) => findLife(world, runName(uid, run)));
  const { observe, ...rest } = port(world);
  const gpuIdle = new Map<string, number | undefined>();
  return {
    ...rest,
    ...controls(world),
    ...memoryNodes(world),
    ...posts,
    ...execs,
    changes: signals.follow,
    setGpuIdle: (uid, since) => void gpuIdle.set(uid, since),
    takeChanged: () => {
      settle(world);
      return signals.take();
    },
    observe: async (uid, run) => {
      const seen = await observe(uid, run);
      return seen && { ...seen, sessions: sessions(uid, run), gpuIdleSince: gpuIdle.get(uid) };
    },
  };
}

/** Returns whether a run lives or has ended; undefined if nothing is left of it. */
function findLife(world: World, id: string): RunLife | undefined {
  settle(world);
  const it = world.runs.get(id);
  if (!it) return undefined;
  const isOpen = it.started && !it.removing && it.state !== "ended";
  return { isOpen, endedAt: it.state === "ended" ? it.since : undefined };
}

/** Returns the ports of a run that answer; undefined if no such run lives. */
function findListening(world: World, id: string): { ports: number[] } | undefined {
  settle(world);
  const it = world.runs.get(id);
  if (!it || it.removing || it.nodeLost || it.state === "ended") return undefined;
  return { ports: it.run.ports.flatMap(({ port }) => (isAnswering(it, port) ? [port] : [])) };
}

function port(world: World): Omit<Compute, keyof MemoryPosts | keyof MemoryExecs | "changes"> {
  return {
    apply: async (run) => applyRun(world, run),
    observe: async (uid, run) => {
      settle(world);
      const it = world.runs.get(runName(uid, run));
      return it && toObservation(it, world.access, (node) => findSilence(world, node));
    },
    begin: async (uid, run) => {
      settle(world);
      const it = world.runs.get(runName(uid, run));
      if (it && waitsToBegin(it)) letBegin(world, it);
    },
    terminate: async (uid, run, graceSeconds) => terminateRun(world, runName(uid, run), graceSeconds),
    remove: async (uid, run, options) => removeRun(world, runName(uid, run), options),
    extend: async (uid, run, until) => {
      settle(world);
      const it = world.runs.get(runName(uid, run));
      if (it) it.until = Math.max(it.until, until);
      world.quietUntil = 0;
    },
    setAccess: async (uid, run, access) => {
      settle(world);
      const it = world.runs.get(runName(uid, run));
      if (it && !it.removing && access.revision >= (it.access?.revision ?? 0)) it.access = copyOfData(access);
    },
    resize: async (uid, run, resources, revision) => {
      settle(world);
      const it = world.runs.get(runName(uid, run));
      if (!it || it.state === "ended" || revision < it.resized) return;
      it.resized = revision;
      it.resources = { ...resources };
    },
    readLog: async (uid, run) => {
      settle(world);
      return readPrinted(world, runName(uid, run));
    },
    listRuns: async (uid) => {
      settle(world);
      const all = [...world.runs.values()].map(toRunRef);
      return uid === undefined ? all : all.filter((run) => run.uid === uid);
    },
    listParts: async () => [...world.parts.values()],
    listNodes: async (names) => {
      settle(world);
      return listNodes(world).filter(({ name }) => !names || names.has(name));
    },
    findSilence: async (node) => findSilence(world, node),
    getMachineState: async (node) => getMachine(world, node),
  };
}

type Others = Compute & MemoryPosts & MemoryExecs & MemoryNodes;

function controls(world: World): Omit<MemoryCompute, keyof Others | "takeChanged" | "setGpuIdle"> {
  return {
    nextChangeAt: () => {
      settle(world);
      return world.quietUntil;
    },
    program: (uid, outcome, { ignoresTerm = false, log = "", lastWords = "" } = {}) => {
      world.outcomes.set(uid, { outcome, ignoresTerm, log, lastWords });
    },
    programmed: (uid) => world.outcomes.get(uid)?.outcome,
    print: (uid, run, printed) => {
      settle(world);
      const id = runName(uid, run);
      if (world.runs.get(id)?.started) print(world, id, printed);
    },
    setSilent: (uid, port, isSilent) => setSilent(world, uid, port, isSilent),
    resources: (uid, run) => {
      settle(world);
      return world.runs.get(runName(uid, run))?.resources;
    },
    kill: (uid, run, signal = "SIGKILL") => {
      settle(world);
      const it = world.runs.get(runName(uid, run));
      if (!it?.started || it.state === "ended") return;
      move(world, it, { at: world.clock.now(), to: "ended", reason: `command was killed by signal ${signal}` });
    },
    evict: (uid, run) => {
      settle(world);
      const it = world.runs.get(runName(uid, run));
      if (it && it.state !== "ended") move(world, it, { at: world.clock.now(), to: "ended", reason: evicted });
    },
    applyParts: (run) => void world.parts.set(runName(run.uid, run.run), run),
    isBoundInPart: (uid, run) => {
      settle(world);
      const it = world.runs.get(runName(uid, run));
      return it?.state === "unbound" && it.nodes.length > 0;
    },
    hasTombstone: (uid, run) => hasTombstone(world, runName(uid, run)),
    loseTombstone: (uid, run) => void world.tombstones.delete(runName(uid, run)),
    isLive: (uid, run) => {
      settle(world);
      const it = world.runs.get(runName(uid, run)) ?? world.ghosts.get(runName(uid, run));
      return it !== undefined && isRunning(world, it);
    },
    mounting: (volumeId) => {
      settle(world);
      const mounted = [...world.runs.values()].filter(
        (it) => it.run.mounts.some(({ volume }) => volume.id === volumeId) && it.nodes.length > 0,
      );
      const stuck = world.stuck.get(volumeId);
      const left = stuck ? [{ uid: stuck.uid, run: stuck.run }] : [];
      return [...mounted.map(({ run: { uid, run } }) => ({ uid, run })), ...left];
    },
    access: (uid, run) => {
      settle(world);
      return world.runs.get(runName(uid, run))?.access;
    },
    starts: (uid, run) => {
      settle(world);
      return world.starts.get(runName(uid, run)) ?? 0;
    },
    hasBegun: (uid) => {
      settle(world);
      return world.begun.has(uid);
    },
    history: () => {
      settle(world);
      return world.history;
    },
  };
}

function applyRun(world: World, run: Run): void {
  settle(world);
  const id = runName(run.uid, run.run);
  if (world.runs.has(id)) return;
  if (hasTombstone(world, id)) throw new Error("The run was removed");
  if (Object.keys(run.env).length > 0) world.parts.set(id, { uid: run.uid, run: run.run, key: run.key });
  const { outcome, ignoresTerm, lastWords } = world.outcomes.get(run.uid) ?? goesOn;
  if (outcome.kind === "refused") throw new RunRefused(outcome.reason);
  if (!Object.keys(run.env).every(isVariable)) throw new RunRefused("The name of an environment variable is not valid");
  const now = world.clock.now();
  world.runs.set(id, {
    run: copyOfData(run),
    outcome,
    ignoresTerm,
    lastWords,
    terminatesAt: undefined,
    isGated: world.gates && run.shares.length > 1,
    state: "unbound",
    since: now,
    started: false,
    until: run.until,
    nodes: [],
    partSince: undefined,
    exitCode: null,
    reason: outcome.kind === "neverBinds" ? outcome.reason : null,
    removing: false,
    goneAt: undefined,
    blocked: false,
    lacksVolume: false,
    nodeLost: false,
    access: undefined,
    resources: run.resources,
    resized: 0,
    silent: getSilent(world, run.uid),
  });
  world.history.push({ at: now, kind: "applied", uid: run.uid, run: run.run });
  world.quietUntil = 0;
  settle(world);
}

const goesOn: Program = { outcome: { kind: "lives" }, ignoresTerm: false, log: "", lastWords: "" };

function isVariable(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

function getSilent({ silent }: World, uid: string): Set<number> {
  const ports = silent.get(uid) ?? new Set();
  silent.set(uid, ports);
  return ports;
}

/** Sets whether a port is silent. Runs that wait for it are checked again. */
function setSilent(world: World, uid: string, port: number, isSilent: boolean): void {
  settle(world);
  const ports = getSilent(world, uid);
  if (isSilent) ports.add(port);
  else ports.delete(port);
  world.quietUntil = 0;
  const earliest = world.clock.now() - world.delays.probeMs;
  for (const it of world.runs.values()) {
    if (it.run.uid === uid && it.state === "probe") it.since = Math.max(it.since, earliest);
  }
}

function letBegin(world: World, it: MemoryRun): void {
  it.isGated = false;
  it.since = Math.max(it.since, world.clock.now() - world.delays.containerMs);
  world.quietUntil = 0;
  settle(world);
}

function terminateRun(world: World, id: string, graceSeconds: number): boolean {
  settle(world);
  const it = world.runs.get(id);
  if (!it?.started || it.state === "ended" || it.removing || it.terminatesAt !== undefined) return true;
  print(world, id, it.lastWords);
  it.terminatesAt = world.clock.now() + (it.ignoresTerm ? graceSeconds * 1000 : 0);
  world.quietUntil = 0;
  settle(world);
  return true;
}

/** Shortest life of a tombstone that the port promises. */
const TOMBSTONE_MS = 60_000;

function removeRun(world: World, id: string, options: Removal): boolean {
  settle(world);
  const it = world.runs.get(id);
  if (it && options.unlessBound && it.state !== "unbound") throw new RunBound();
  const hasTombstones = world.leavesTombstones && options.tombstones !== undefined;
  if (hasTombstones) world.tombstones.set(id, world.clock.now() + TOMBSTONE_MS);
  world.parts.delete(id);
  if (!it) return hasTombstones;
  const goneAt = goneAfterRemoval(it, world.clock.now(), options, world.delays);
  if (it.nodeLost && options.force) leaveBehind(world, id, it);
  it.removing = true;
  it.goneAt = goneAt === undefined ? it.goneAt : Math.min(goneAt, it.goneAt ?? goneAt);
  world.quietUntil = 0;
  settle(world);
  return hasTombstones;
}

function hasTombstone({ clock, tombstones }: World, id: string): boolean {
  return clock.now() < (tombstones.get(id) ?? 0);
}
