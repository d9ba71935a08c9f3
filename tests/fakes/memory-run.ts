import type {
  Access,
  NodeRef,
  Observation,
  PortStatus,
  Removal,
  Resources,
  Run,
  RunPort,
  RunState,
  Silence,
} from "#core/ports/compute.ts";
import type { Lack } from "#core/ports/machine-groups.ts";

/** Outcome of an applied run. By default it becomes ready and lives until it is removed. */
export type Outcome =
  | { readonly kind: "lives" }
  | { readonly kind: "exits"; readonly code: number; readonly afterMs: number }
  | { readonly kind: "killed"; readonly signal: string; readonly afterMs: number }
  | { readonly kind: "fails"; readonly reason: string; readonly afterMs: number }
  | { readonly kind: "imageFails"; readonly reason: string }
  /** `first`: number of machines that are bound nevertheless. `lacksVolume`, `refusedForNow`, `lacks`, `isRejected`: the reason. */
  | {
      readonly kind: "neverBinds";
      readonly reason: string | null;
      readonly first?: number;
      readonly lacksVolume?: true;
      readonly refusedForNow?: true;
      readonly lacks?: Lack;
      readonly isRejected?: true;
    }
  /** `apply` refuses the run. */
  | { readonly kind: "refused"; readonly reason: string };

/** Duration of each step in milliseconds, by default 0. */
export interface StepDelays {
  readonly bindMs: number;
  readonly imageMs: number;
  readonly containerMs: number;
  readonly probeMs: number;
  /** From the end of the command, or the removal of an ended run, until nothing is left. */
  readonly removeMs: number;
}

/** Run in the fake. */
export interface MemoryRun {
  readonly run: Run;
  readonly outcome: Outcome;
  readonly ignoresTerm: boolean;
  /** Output after SIGTERM. */
  readonly lastWords: string;
  /** End of its command after SIGTERM; undefined if there was none. */
  terminatesAt: number | undefined;
  /** The command waits for `begin`. */
  isGated: boolean;
  state: RunState;
  /** Time since which it has this state. */
  since: number;
  started: boolean;
  until: number;
  /** Nodes of the machines that are bound; all of them unless the run is unbound. */
  nodes: readonly NodeRef[];
  /** Time since which the first machine is bound. */
  partSince: number | undefined;
  exitCode: number | null;
  reason: string | null;
  removing: boolean;
  goneAt: number | undefined;
  /** No node could take it. It tries again when nodes change or units become free. */
  blocked: boolean;
  /** One of its volumes was missing when it was bound, so the run stays as it is. */
  lacksVolume: boolean;
  /** One of its nodes is silent, so it is suspended, and only force removes it. */
  nodeLost: boolean;
  /** Access that was set last. */
  access: Access | undefined;
  /** Present resources. */
  resources: Resources | null;
  /** Revision of the last resize. */
  resized: number;
  /** Silent ports. */
  readonly silent: ReadonlySet<number>;
}

/** Access to the runs of this fake cluster. */
export interface AccessOptions {
  /** Port of SSH; null: none. */
  readonly sshPort: number | null;
  /** Host key of its SSH server; undefined: none. */
  readonly sshHostKey?: string;
  /** Returns why there is no port for SSH now. */
  readonly sshProblem?: () => string | undefined;
  /** Why Jupyter cannot start; null: it can. */
  readonly jupyterFault: string | null;
  /** Reports whether Jupyter does not answer yet. */
  readonly isJupyterLate?: () => boolean;
}

export interface Transition {
  readonly at: number;
  /** `begun`: the command begins on the bound machines, although another machine is unbound. */
  readonly to: RunState | "gone" | "begun";
  readonly exitCode?: number;
  readonly reason?: string;
}

/** Returns the next transition with its time; undefined if nothing will happen by itself. */
export function nextTransition(it: MemoryRun, delays: StepDelays): Transition | undefined {
  const ownValue = ownTransition(it, delays);
  const others = [ownValue, deadline(it), termination(it), removal(it)].filter(
    (transition) => transition !== undefined,
  );
  return others.reduce<Transition | undefined>(
    (first, transition) => (first && first.at <= transition.at ? first : transition),
    undefined,
  );
}

/** Returns the time at which nothing is left after a removal at `now`. */
export function goneAfterRemoval(it: MemoryRun, now: number, options: Removal, delays: StepDelays): number | undefined {
  if (it.nodeLost) return options.force ? now : undefined;
  if (options.force) return now + delays.removeMs;
  const waits = it.ignoresTerm && it.started && it.state !== "ended";
  return now + (waits ? options.graceSeconds * 1000 : 0) + delays.removeMs;
}

/** Returns the run's observation. */
export function toObservation(
  it: MemoryRun,
  access: AccessOptions,
  findSilence: (node: NodeRef) => Silence | null,
): Observation {
  const seen = {
    state: it.state,
    started: it.started,
    exitCode: it.exitCode,
    endedAt: it.state === "ended" ? it.since : null,
    reason: it.reason,
    address: it.started ? findAddress(access) : null,
    isolation: "memory",
    jupyter: findJupyter(it, access),
    ports: it.run.ports.map((port) => seePort(it, port)),
    limits: "memory",
    sessions: 0,
    terminating: it.removing,
    notes: [],
    ...(it.state === "unbound" && lacksVolume(it.outcome) && { lacksVolume: true as const }),
    ...(it.state === "unbound" && isRefusedForNow(it.outcome) && { refusedForNow: true as const }),
    ...(it.state === "unbound" && it.outcome.kind === "neverBinds" && it.outcome.lacks && { lacks: it.outcome.lacks }),
    ...(it.state === "unbound" && isRejected(it.outcome) && { isRejected: true as const }),
    ...(it.state === "ended" && it.reason === evicted && { isDisrupted: true as const }),
    ...(waitsToBegin(it) && { waitsToBegin: true as const }),
  } satisfies Omit<Observation, "nodes">;
  const nodes = it.nodes.map((node) => ({ ...node, silent: findSilence(node) }));
  return { ...seen, nodes: nodes.map((node) => ({ ...node, mark: JSON.stringify([seen, node]) })) };
}

/** Reason of a run that the cluster took from its machine. */
export const evicted = "it was evicted from its machine";

function lacksVolume(outcome: Outcome): boolean {
  return outcome.kind === "neverBinds" && outcome.lacksVolume === true;
}

function isRejected(outcome: Outcome): boolean {
  return outcome.kind === "neverBinds" && outcome.isRejected === true;
}

function isRefusedForNow(outcome: Outcome): boolean {
  return outcome.kind === "neverBinds" && outcome.refusedForNow === true;
}

/** Reports whether all machines are there and the command waits for `begin`. */
export function waitsToBegin({ isGated, state, removing }: MemoryRun): boolean {
  return isGated && state === "container" && !removing;
}

/** Reports whether this port of a run answers. */
export function isAnswering({ state, silent }: MemoryRun, port: number): boolean {
  return state === "ready" && !silent.has(port);
}

/** Returns the status of a port. The port of a silent Jupyter has no address. */
function seePort(it: MemoryRun, { port, kind }: RunPort): PortStatus {
  const isNowhere = kind === "jupyter" && it.silent.has(port);
  return { port, kind, address: isNowhere ? null : "127.0.0.1:40124", answers: isAnswering(it, port) };
}

/** Returns the state of Jupyter. One that works shows once the run is ready, one that cannot start shows at once. */
function findJupyter(
  { access, state }: MemoryRun,
  { jupyterFault, isJupyterLate }: AccessOptions,
): Observation["jupyter"] {
  const isTried = state === "ready" || (state === "probe" && jupyterFault !== null);
  if (!access?.jupyter || !isTried) return null;
  if (jupyterFault !== null) return { state: "failed", origin: null, reason: jupyterFault };
  if (isJupyterLate?.()) return { state: "starting", origin: null, reason: null };
  return { state: "on", origin: "http://127.0.0.1:40123", reason: null };
}

function ownTransition(it: MemoryRun, delays: StepDelays): Transition | undefined {
  if (it.nodeLost || (it.removing && it.state !== "ready")) return undefined;
  switch (it.state) {
    case "unbound":
      if (it.blocked || it.nodes.length >= bindable(it)) return beginning(it, delays);
      return { at: it.since + delays.bindMs, to: "image" };
    case "image":
      if (it.lacksVolume) return undefined;
      if (it.outcome.kind !== "imageFails") return { at: it.since + delays.imageMs, to: "container" };
      return { at: it.since + delays.imageMs, to: "ended", reason: it.outcome.reason };
    case "container":
      if (it.isGated) return undefined;
      return { at: it.since + delays.containerMs, to: "probe" };
    case "probe":
      if (it.run.ports.some(({ port }) => it.silent.has(port))) return undefined;
      return { at: it.since + delays.probeMs, to: "ready" };
    case "ready":
      return end(it);
    case "ended":
      return undefined;
  }
}

/** Returns how many machines may be bound, which is less than all for a run that never binds. */
export function bindable({ outcome, run: { shares } }: Pick<MemoryRun, "outcome" | "run">): number {
  return outcome.kind === "neverBinds" ? Math.min(outcome.first ?? 0, shares.length - 1) : shares.length;
}

/** Returns the next transition of a run of which only some machines are bound. */
function beginning(it: MemoryRun, { imageMs, containerMs }: StepDelays): Transition | undefined {
  if (it.started || it.partSince === undefined || it.lacksVolume || it.outcome.kind === "imageFails") return undefined;
  if (it.isGated) return undefined;
  return { at: it.partSince + imageMs + containerMs, to: "begun" };
}

function end({ outcome, since }: MemoryRun): Transition | undefined {
  if (outcome.kind === "exits") return { at: since + outcome.afterMs, to: "ended", exitCode: outcome.code };
  if (outcome.kind === "fails") return { at: since + outcome.afterMs, to: "ended", reason: outcome.reason };
  if (outcome.kind !== "killed") return undefined;
  return { at: since + outcome.afterMs, to: "ended", reason: `command was killed by signal ${outcome.signal}` };
}

function deadline(it: MemoryRun): Transition | undefined {
  return it.state === "ended" || it.nodeLost
    ? undefined
    : { at: Math.max(it.until, it.since), to: "ended", reason: "DeadlineExceeded" };
}

function termination({ terminatesAt, state, nodeLost, ignoresTerm }: MemoryRun): Transition | undefined {
  if (terminatesAt === undefined || state === "ended" || nodeLost) return undefined;
  const signal = ignoresTerm ? "SIGKILL" : "SIGTERM";
  return { at: terminatesAt, to: "ended", reason: `command was killed by signal ${signal}` };
}

function removal(it: MemoryRun): Transition | undefined {
  return it.goneAt === undefined ? undefined : { at: it.goneAt, to: "gone" };
}

function findAddress({ sshPort, sshHostKey: hostKey, sshProblem }: AccessOptions): Observation["address"] {
  const problem = sshProblem?.();
  if (problem !== undefined) return { ip: "127.0.0.1", port: null, problem };
  return { ip: "127.0.0.1", port: sshPort, ...(hostKey && { hostKey }) };
}
