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

/** What happens to a run once it was applied; without one it becomes ready and lives until it is removed. */
export type Outcome =
  | { readonly kind: "lives" }
  | { readonly kind: "exits"; readonly code: number; readonly afterMs: number }
  | { readonly kind: "killed"; readonly signal: string; readonly afterMs: number }
  | { readonly kind: "fails"; readonly reason: string; readonly afterMs: number }
  | { readonly kind: "imageFails"; readonly reason: string }
  /** `first`: so many of several machines are bound all the same. `lacksVolume`, `refusedForNow`: that is why. */
  | {
      readonly kind: "neverBinds";
      readonly reason: string | null;
      readonly first?: number;
      readonly lacksVolume?: true;
      readonly refusedForNow?: true;
    }
  /** It is not taken at all. */
  | { readonly kind: "refused"; readonly reason: string };

/** Milliseconds that each step takes; all are 0 unless set. */
export interface StepDelays {
  readonly bindMs: number;
  readonly imageMs: number;
  readonly containerMs: number;
  readonly probeMs: number;
  /** From the end of the command, or from the removal of a run that has ended, to nothing being left. */
  readonly removeMs: number;
}

/** One run as the fake holds it. */
export interface MemoryRun {
  readonly run: Run;
  readonly outcome: Outcome;
  readonly ignoresTerm: boolean;
  /** Printed when it is asked to end. */
  readonly lastWords: string;
  /** When its command ends because it was asked to; undefined: nothing asked it. */
  terminatesAt: number | undefined;
  /** Its command has not been let begin. */
  isGated: boolean;
  state: RunState;
  /** When it came to this state. */
  since: number;
  started: boolean;
  until: number;
  /** Those of its first machines that are bound; all of them unless it is unbound. */
  nodes: readonly NodeRef[];
  /** When the first of them was. */
  partSince: number | undefined;
  exitCode: number | null;
  reason: string | null;
  removing: boolean;
  goneAt: number | undefined;
  /** No node could take it; looked at again when nodes change or units come free. */
  blocked: boolean;
  /** A volume of it was gone as it was bound: its machine attaches nothing and it stays as it is. */
  lacksVolume: boolean;
  /** A node of it does not answer: it stands still, and nothing but force removes it. */
  nodeLost: boolean;
  /** What it was told last. */
  access: Access | undefined;
  /** What it may use now. */
  resources: Resources | null;
  /** The revision of what it was resized to last. */
  resized: number;
  /** Ports on which nothing answers. */
  readonly silent: ReadonlySet<number>;
}

/** What lets people into the runs of this fake cluster. */
export interface AccessOptions {
  /** Where SSH answers; null: nowhere. */
  readonly sshPort: number | null;
  /** Of its SSH server; none when not given. */
  readonly sshHostKey?: string;
  /** Why there is no port for SSH now. */
  readonly sshProblem?: () => string | undefined;
  /** Why Jupyter cannot be started; null: it can. */
  readonly jupyterFault: string | null;
  /** Whether Jupyter does not answer yet. */
  readonly isJupyterLate?: () => boolean;
}

export interface Transition {
  readonly at: number;
  /** `begun`: the command begins on the machines that are bound, while another has none. */
  readonly to: RunState | "gone" | "begun";
  readonly exitCode?: number;
  readonly reason?: string;
}

/** What happens to it next and when, or undefined when nothing will happen by itself. */
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

/** The moment at which nothing of it will be left when its removal is asked for at `now`. */
export function goneAfterRemoval(it: MemoryRun, now: number, options: Removal, delays: StepDelays): number | undefined {
  if (it.nodeLost) return options.force ? now : undefined;
  if (options.force) return now + delays.removeMs;
  const waits = it.ignoresTerm && it.started && it.state !== "ended";
  return now + (waits ? options.graceSeconds * 1000 : 0) + delays.removeMs;
}

/** The run as the port shows it. */
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
    ...(waitsToBegin(it) && { waitsToBegin: true as const }),
  } satisfies Omit<Observation, "nodes">;
  const nodes = it.nodes.map((node) => ({ ...node, silent: findSilence(node) }));
  return { ...seen, nodes: nodes.map((node) => ({ ...node, mark: JSON.stringify([seen, node]) })) };
}

function lacksVolume(outcome: Outcome): boolean {
  return outcome.kind === "neverBinds" && outcome.lacksVolume === true;
}

function isRefusedForNow(outcome: Outcome): boolean {
  return outcome.kind === "neverBinds" && outcome.refusedForNow === true;
}

/** Whether all of its machines are there, and its command waits to be let begin. */
export function waitsToBegin({ isGated, state, removing }: MemoryRun): boolean {
  return isGated && state === "container" && !removing;
}

/** Whether something answers on this port of a run. */
export function isAnswering({ state, silent }: MemoryRun, port: number): boolean {
  return state === "ready" && !silent.has(port);
}

/** The port of a Jupyter that does not answer has no address: nothing stands in for it. */
function seePort(it: MemoryRun, { port, kind }: RunPort): PortStatus {
  const isNowhere = kind === "jupyter" && it.silent.has(port);
  return { port, kind, address: isNowhere ? null : "127.0.0.1:40124", answers: isAnswering(it, port) };
}

/** A Jupyter that works is seen once the run is ready, as SSH is; one that cannot start, as soon as it was tried. */
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

/** How many of its machines may be bound: never all of one that never binds. */
export function bindable({ outcome, run: { shares } }: Pick<MemoryRun, "outcome" | "run">): number {
  return outcome.kind === "neverBinds" ? Math.min(outcome.first ?? 0, shares.length - 1) : shares.length;
}

/** Of a run of which some machines are bound. */
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
