import type { Exec, ExecStatus } from "./exec.ts";
import type { LogEnd, RunLog } from "./run-log.ts";
import type { VolumeRef } from "./volumes.ts";

/** A part of one machine: `node` is null where the node is still to be made by its group. */
export interface Share {
  readonly node: string | null;
  /** GPUs, or whole machines in a pool of CPU machines. */
  readonly units: number;
}

/** One life of an environment's compute, as the cluster is asked to run it. */
export interface Run {
  readonly uid: string;
  readonly run: number;
  /** The record's key in a message, carried by every object that is made. */
  readonly key: string;
  readonly name: string;
  readonly pool: string;
  readonly instanceType: string;
  readonly image: string;
  /** Run by a shell inside; undefined: it lives until it is removed. */
  readonly command: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** One per machine. */
  readonly shares: readonly Share[];
  /** GPUs per machine; 0 on CPU machines. */
  readonly gpusPerMachine: number;
  /** Volumes in its first machine: that of its disk, or those of its own. */
  readonly mounts: readonly Mount[];
  /** Where it listens; it is ready when every one of these answers. */
  readonly ports: readonly RunPort[];
  /** What a part of a shared machine may use; null: all of its share. */
  readonly resources: Resources | null;
  /** Its part of the name of a host, below the deployment's domain; undefined: it has none. */
  readonly addressLabel?: string | undefined;
  /** Milliseconds since the epoch at which the cluster may end it by itself: a net, never the timer. */
  readonly until: number;
}

export interface Mount {
  readonly volume: VolumeRef;
  /** Absolute: `/workspace`. */
  readonly path: string;
}

/** A port that an environment serves. */
export interface RunPort {
  readonly port: number;
  /** `ssh` and `jupyter` are access that every run has; `http` and `tcp` are served by what runs inside. */
  readonly kind: "ssh" | "jupyter" | "http" | "tcp";
}

export interface Resources {
  readonly cpus: number;
  readonly memoryMb: number;
}

/** How far a run has come. `ended` covers every way of ending; `reason` then says which. */
export type RunState = "unbound" | "image" | "container" | "probe" | "ready" | "ended";

/** Where a run is reached by SSH. */
export interface RunAddress {
  readonly ip: string;
  readonly port: number | null;
  /** The public key by which its SSH server is known, `<type> <base64>`. */
  readonly hostKey?: string | undefined;
  /** Why there is no port though a key would get in, in words for the user. */
  readonly problem?: string | undefined;
}

export interface Observation {
  readonly state: RunState;
  /** Whether the command began at all: an image that cannot be pulled ended without having started. */
  readonly started: boolean;
  readonly exitCode: number | null;
  /** When it ended, ms; null while it lives, and where nobody saw it end. */
  readonly endedAt: number | null;
  /** The reason in words, for the user: `command was killed by signal SIGKILL`, `Image not found`. */
  readonly reason: string | null;
  /** Where it listens, of the first machine. */
  readonly address: RunAddress | null;
  /** Nodes it was really bound to, in the order of its shares; empty while unbound. */
  readonly nodes: readonly BoundNode[];
  readonly isolation: string;
  /** Jupyter as the run serves it; null when it was not asked for, or is off again. */
  readonly jupyter: JupyterStatus | null;
  /** Where its ports are reached from outside, as far as that is known. */
  readonly ports: readonly PortStatus[];
  /** In words, how CPU, memory and processes are limited; `none` where nothing can. */
  readonly limits: string;
  /** Open terminals and running execs; null: nobody can tell, which counts as somebody at work. */
  readonly sessions: number | null;
  /** Since when no GPU of any of its machines was used, ms; absent: nobody can tell, which counts as use. */
  readonly gpuIdleSince?: number | undefined;
  /** Being removed: some of it is still there. */
  readonly terminating: boolean;
  /** Things worth a line in the timeline, for example that an image is recorded and not pulled. */
  readonly notes: readonly string[];
  /** It is unbound because it has no volume, as `reason` says: no machine is at fault, and another would not help. */
  readonly lacksVolume?: true | undefined;
  /**
   * The cluster makes no pod for it now, as `reason` says, and will once that is over: a quota, a webhook that is away. No
   * machine is at fault, and neither is the run.
   */
  readonly refusedForNow?: true | undefined;
  /**
   * The cluster did not take the part that `apply` creates last, and no part has ended. Unless a run was deleted by hand
   * down to this, it can be applied again.
   */
  readonly halfMade?: true | undefined;
  /** All of its machines are there, and its command waits for `begin`. */
  readonly waitsToBegin?: true | undefined;
}

export interface PortStatus extends RunPort {
  /** `127.0.0.1:40123`; null until it is known. */
  readonly address: string | null;
  /** Whether it answered when last asked. */
  readonly answers: boolean;
  /** Whether its page asks for its own password. Such a page is shown without a key of Berth. */
  readonly hasLogin?: true | undefined;
}

export interface JupyterStatus {
  readonly state: "starting" | "on" | "failed";
  /** Where it answers, without a path: `http://127.0.0.1:40123`; null until it is on. */
  readonly origin: string | null;
  /** Why it failed, in words for the user. */
  readonly reason: string | null;
}

/** Who may enter a run and what it serves: always the whole of it. */
export interface Access {
  /** Never lower for what was wanted later. */
  readonly revision: number;
  /** The user name by which SSH finds it: `gpu-dev-9e41c7d3`. */
  readonly login: string;
  /** Public keys, each `<type> <base64>`. */
  readonly keys: readonly string[];
  /** null: off. The token is asked of everybody who opens it. */
  readonly jupyter: { readonly token: string } | null;
}

export interface RunRef {
  readonly uid: string;
  readonly run: number;
  readonly key: string;
}

/** Every change up to there was signalled before this; a compute that cannot go on from anywhere never says it. */
export interface SignalledUpTo {
  /** Text of at most 1,000 characters that nobody else understands. */
  readonly upTo: string;
}

/** A machine as the cluster and its provider name it. */
export interface NodeRef {
  readonly name: string;
  /** The uid of the node object: a name may come back with another machine, a uid never does. */
  readonly uid: string;
  /** `aws:///us-east-2a/i-0123456789abcdef0`; null: no provider knows it. */
  readonly providerId: string | null;
}

export interface ComputeNode extends NodeRef {
  readonly instanceType: string;
  readonly zone: string;
  readonly ready: boolean;
  /** Why it is not ready; absent where it is, and where nobody can tell. */
  readonly unready?: Unready | undefined;
  /** What it offers: GPUs, vCPUs of a shared machine, 1 for another CPU machine. */
  readonly units: number;
  /** Those of them that are in use by pods that are not ours. */
  readonly foreignUnits: number;
  /**
   * Its pods were not read this time: `foreignUnits` are all of its units, and `runs` is absent. The next listing begins
   * with such nodes.
   */
  readonly unread?: true | undefined;
  /** Our runs that are bound there and have not ended; absent where every run is on the nodes of its shares. */
  readonly runs?: readonly BoundRun[];
}

/**
 * Why nothing new comes to a node. One that is cordoned or tainted answers: somebody closed it, or keeps it for others.
 * `notReady`: its machine does not answer, or says itself that it is not ready.
 */
export const unreadies = ["notReady", "cordoned", "tainted"] as const;
export type Unready = (typeof unreadies)[number];

/** A run, or one machine of it, as the node that it is bound to is listed. */
export interface BoundRun {
  readonly uid: string;
  readonly run: number;
  readonly units: number;
  /**
   * Changes whenever the cluster changes by itself what `observe` answers of this run and node, but for `sessions`; as
   * `observe` says it of a node. Absent where a listing cannot tell.
   */
  readonly mark?: string | undefined;
}

/** A node that a run is bound to; its uid stays that of the node object at the time of binding. */
export interface BoundNode extends NodeRef {
  /** null: it answers. */
  readonly silent: Silence | null;
  /** The mark that a listing shows of this run while nothing changes. */
  readonly mark?: string | undefined;
}

/** How a node object says that its machine does not answer, which may be lost or come back; `missing`: it is not there. */
export type Silence = "notReady" | "missing";

/**
 * What the provider says of a machine. `gone`: terminated, stopped or not known to it. `unknown`: it did not answer, or
 * there is none; then only the operator's word counts.
 */
export type MachineState = "running" | "gone" | "unknown";

/** How a run is removed. */
export interface Removal {
  readonly graceSeconds: number;
  readonly force: boolean;
  /**
   * Only while `observe` would show it as unbound, which is decided where the run is: else it throws `RunBound`, and the
   * run goes on. Of several machines one that is unbound is enough, whatever began on the others. Done where nothing of
   * it is there.
   */
  readonly unlessBound?: true;
  /**
   * Only what `listParts` shows of it is left. Nothing else waits for that: where a right to delete some of it is missing,
   * the rest goes, and it throws.
   */
  readonly leftovers?: true;
  /**
   * How many machines the run has. A tombstone takes the place of each for at least a minute, so that a late `apply` of
   * this run number throws and starts nothing. Absent: no tombstones.
   */
  readonly tombstones?: number;
}

/** A line for the people at the terminals of a run. */
export interface Notice {
  /**
   * `warning`: the run ends, and who logs in later reads it too; `news`: takes the warning back; `end`: the run ends now,
   * and who logs in later reads why.
   */
  readonly kind: "warning" | "news" | "end";
  /** One line without control characters. */
  readonly words: string;
  /** When it was decided, ms. Told twice, a notice of one moment is shown once. */
  readonly at: number;
  /** When the run ends, where a warning knows it, ms. */
  readonly endsAt?: number | undefined;
}

/**
 * What runs environments. Every call may be repeated: names derive from uid and run.
 * `observe` answers undefined exactly when nothing of the run is left, so `remove` is done when it does.
 */
export interface Compute {
  /**
   * Throws `RunRefused` where nothing will ever come of it, `RunNotTaken` where it knows why this time nothing did; some
   * of the run may be there all the same.
   */
  apply(run: Run): Promise<void>;
  /** undefined: nothing of it is there, or only what the end of whoever applies it would undo. */
  observe(uid: string, run: number): Promise<Observation | undefined>;
  /**
   * Lets the command of a run begin that `waitsToBegin`; nothing happens to any other. Where one of its machines could not
   * be asked, the run goes on waiting.
   */
  begin(uid: string, run: number): Promise<void>;
  /**
   * Sends SIGTERM to the command, and SIGKILL after the grace. `observe` then answers `ended`, and `readLog` answers until
   * `remove`. Nothing happens to a run that is gone, has ended or has not begun. False: only `remove` ends this run.
   */
  terminate(uid: string, run: number, graceSeconds: number): Promise<boolean>;
  /** Returns whether the tombstones that `removal` asked for are there; false: a late `apply` may start the run again. */
  remove(uid: string, run: number, removal: Removal): Promise<boolean>;
  /** Moves the net, and never back; nothing happens when the run is gone. Throws where somebody else changes the run. */
  extend(uid: string, run: number, until: number): Promise<void>;
  /**
   * Says who may enter and what is served, in place of what was said before; nothing happens when the run is gone, or was
   * told of a higher revision: of two workers the one that knows less may come last.
   */
  setAccess(uid: string, run: number, access: Access): Promise<void>;
  /** Moves the limits of a living run; nothing happens when it is gone, or was resized with a higher revision. */
  resize(uid: string, run: number, resources: Resources, revision: number): Promise<void>;
  /**
   * Counts what works in a living run without a connection: Jupyter kernels, and terminals with a program in the
   * foreground. Null: unknown, which counts as use. Asked only before a run is stopped as idle.
   */
  countWork(uid: string, run: number): Promise<number | null>;
  /** Tells the people at the terminals of a run. Those that it does not reach have the timeline and the webhook. */
  tell(uid: string, run: number, notice: Notice): Promise<void>;
  /**
   * Starts a command, unless one of this id was started before. Throws `RunGone` when there is no living run. Whatever
   * leaves the session is ended with the run.
   */
  startExec(uid: string, run: number, exec: Exec): Promise<void>;
  /** Answers when it has ended, or after `waitMs` (at most 4 s); undefined when no such exec is known. */
  readExec(uid: string, run: number, id: string, waitMs: number): Promise<ExecStatus | undefined>;
  /** One POST of JSON to a port of the run, given up after `timeoutMs` (at most 5 s). Throws when nothing answered. */
  postToPort(uid: string, run: number, request: PortRequest): Promise<PortAnswer>;
  /**
   * Returns the newest MiB that the command printed, both streams as one; no bytes before it began. `known` is the end of
   * the last answer, by which a compute without positions of its own finds the start of this one. Given up after 3 s.
   */
  readLog(uid: string, run: number, known?: LogEnd): Promise<RunLog>;
  /** Lists all runs, or those of one uid. */
  listRuns(uid?: string): Promise<RunRef[]>;
  /**
   * The runs that have something which neither `observe` nor `listRuns` shows, as the variables of a command that waits to
   * be started: what is made before a run is seen, and stays where somebody dies before. `remove` takes it away.
   */
  listParts(): Promise<RunRef[]>;
  /**
   * Endless until `signal` aborts: a run whose observation may have changed (bound, step, ready, ended, gone). A change
   * may be signalled late, twice or never. Begins with every run that there is, but for one who goes on `from` where all
   * was signalled before: then with what has changed since, unless that is known no more.
   */
  changes(signal: AbortSignal, from?: string): AsyncIterable<RunRef | SignalledUpTo>;
  /** Lists every node of all types, or throws. Where time is short, the pods of some stay `unread`. */
  listNodes(): Promise<ComputeNode[]>;
  /**
   * What `observe` says of a node that a run is bound to, for one that nothing is bound to any more; never from a
   * cache.
   */
  silenceOf(node: NodeRef): Promise<Silence | null>;
  /** Asks the provider; answers `unknown` where it throws or there is none. */
  machineOf(node: NodeRef): Promise<MachineState>;
}

export interface PortRequest {
  readonly port: number;
  readonly path: string;
  /** JSON. */
  readonly body: string;
  readonly timeoutMs: number;
}

export interface PortAnswer {
  readonly status: number;
  /** At most 1 MiB of it. */
  readonly body: string;
}
