import type { ChangedNodes } from "./changed-nodes.ts";
import type { Exec, ExecStatus } from "./exec.ts";
import type { Lack } from "./machine-groups.ts";
import type { LogEnd, RunLog } from "./run-log.ts";
import type { VolumeRef } from "./volumes.ts";

/** A part of one machine. `node` is null if the node group has yet to create it. */
export interface Share {
  readonly node: string | null;
  /** GPUs, or whole machines in a pool of CPU machines. */
  readonly units: number;
  /** The zone in which a machine still to be created must be. Absent: any. */
  readonly zone?: string | undefined;
  /** The node group that must create it, by name. Absent: any. */
  readonly group?: string | undefined;
}

/** A part of the machines of one type: those in a zone or of a node group, or one machine. If no field is set, it means all machines of the type. */
export interface PoolPart {
  readonly zone?: string | undefined;
  /** The name of a managed node group of EKS. */
  readonly nodeGroup?: string | undefined;
  /** The machine's name. */
  readonly node?: string | undefined;
}

export interface Run {
  readonly uid: string;
  readonly run: number;
  /** The record's key in the form that messages use. Every created object carries it. */
  readonly key: string;
  readonly name: string;
  readonly pool: string;
  readonly instanceType: string;
  readonly image: string;
  /** Login with which its machines pull the image. If undefined, they use the cluster's credentials, if any. */
  readonly registryLogin?: RegistryLogin | undefined;
  /** Run by a shell. If undefined, the run lives until it is removed. */
  readonly command: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** One per machine. */
  readonly shares: readonly Share[];
  /** Parts that operators drained: a share without a node must not be placed there. */
  readonly avoids?: readonly PoolPart[] | undefined;
  readonly gpusPerMachine: number;
  /** Volumes in the first machine: its disk's volume, or its own volumes. */
  readonly mounts: readonly Mount[];
  /** The ports that it serves. It is ready once all of them answer. */
  readonly ports: readonly RunPort[];
  /** Limits for a part of a shared machine, or null for the whole share. */
  readonly resources: Resources | null;
  /** Its part of the host name below the deployment's domain, if it has one. */
  readonly addressLabel?: string | undefined;
  /**
   * Time from SIGTERM to SIGKILL of its command, seconds. It also counts when the cluster ends the run. Undefined: that of
   * the deployment.
   */
  readonly graceSeconds?: number | undefined;
  /** Set if the cluster may end it in a drain, because its environment then returns to the queue. */
  readonly isEvictable?: true | undefined;
  /** When the cluster may end the run by itself, ms since the epoch. A safety net, not the deadline. */
  readonly until: number;
}

/** A login to the registry that the image names. */
export interface RegistryLogin {
  readonly username: string;
  readonly password: string;
}

export interface Mount {
  readonly volume: VolumeRef;
  /** Absolute: `/workspace`. */
  readonly path: string;
}

export interface RunPort {
  readonly port: number;
  /** Every run has `ssh` and `jupyter`. Programs inside it serve `http` and `tcp`. */
  readonly kind: "ssh" | "jupyter" | "http" | "tcp";
}

export interface Resources {
  readonly cpus: number;
  readonly memoryMb: number;
}

/** Progress of a run. `ended` covers every way to end; see `reason`. */
export type RunState = "unbound" | "image" | "container" | "probe" | "ready" | "ended";

export interface RunAddress {
  readonly ip: string;
  readonly port: number | null;
  /** The public key of its SSH server, `<type> <base64>`. */
  readonly hostKey?: string | undefined;
  /** A text for the user that explains why there is no port although a key is installed. */
  readonly problem?: string | undefined;
}

export interface Observation {
  readonly state: RunState;
  /** True once the command has started. A run whose image cannot be pulled ends without having started. */
  readonly started: boolean;
  readonly exitCode: number | null;
  /** When it ended, ms. null while it runs, or if the end was not observed. */
  readonly endedAt: number | null;
  /** The reason as text for the user: `command was killed by signal SIGKILL`, `Image not found`. */
  readonly reason: string | null;
  readonly address: RunAddress | null;
  /** The nodes that it was bound to, in the order of its shares. Empty while unbound. */
  readonly nodes: readonly BoundNode[];
  readonly isolation: string;
  /** Jupyter's status, or null if it is off. */
  readonly jupyter: JupyterStatus | null;
  readonly ports: readonly PortStatus[];
  /** A text that says how CPU, memory and processes are limited, or `none`. */
  readonly limits: string;
  /** Open terminals and running execs. null if unknown, which counts as use. */
  readonly sessions: number | null;
  /** Since when no GPU of its machines was used, ms. Absent if unknown, which counts as use. */
  readonly gpuIdleSince?: number | undefined;
  readonly terminating: boolean;
  /** Texts for the timeline, for example that an image is recorded and not pulled. */
  readonly notes: readonly string[];
  /** It is unbound because it has no volume (see `reason`). No machine is at fault, and another one would not help. */
  readonly lacksVolume?: true | undefined;
  /** Its machine has refused it for good, and its command never began (see `reason`). It counts as unbound. */
  readonly isRejected?: true | undefined;
  /** The cluster creates no pod for now: a quota or an unavailable webhook (see `reason`). Nothing is at fault. */
  readonly refusedForNow?: true | undefined;
  /**
   * What its provider lacks to create the machine that it waits for (see `reason`). Set only if the cluster tries no
   * other zone or kind of machine for now.
   */
  readonly lacks?: Lack | undefined;
  /**
   * The cluster did not take the object that `apply` creates last, and no machine has ended. The run can be applied
   * again, unless it was deleted by hand to this state.
   */
  readonly halfMade?: true | undefined;
  /** All of its machines exist, and its command waits for `begin`. */
  readonly waitsToBegin?: true | undefined;
  /** The cluster ended it for a reason outside of it: a drain, a preemption, a shutdown, or a machine that is gone. */
  readonly isDisrupted?: true | undefined;
  /** The cluster is ending it, as in a drain, and its command may still print after SIGTERM. */
  readonly mayPrint?: true | undefined;
}

export interface PortStatus extends RunPort {
  /** `127.0.0.1:40123`, or null until known. */
  readonly address: string | null;
  readonly answers: boolean;
  /** Set if its page asks for its own password. Such a page is shown without a key of Berth. */
  readonly hasLogin?: true | undefined;
}

export interface JupyterStatus {
  readonly state: "starting" | "on" | "failed";
  /** Its URL without a path, `http://127.0.0.1:40123`. null until it is on. */
  readonly origin: string | null;
  readonly reason: string | null;
}

/** The keys that may enter a run and what it serves. Always complete. */
export interface Access {
  /** Increases with each change. */
  readonly revision: number;
  /** The user name for SSH: `gpu-dev-9e41c7d3`. */
  readonly login: string;
  /** Public keys, each `<type> <base64>`. */
  readonly keys: readonly string[];
  /** null if off. Every visitor needs the token. */
  readonly jupyter: { readonly token: string } | null;
}

export interface RunRef {
  readonly uid: string;
  readonly run: number;
  readonly key: string;
}

/** Marks that all changes up to this position have been reported. Computes that cannot resume never send it. */
export interface SignalledUpTo {
  /** Opaque text of at most 1,000 characters. */
  readonly upTo: string;
}

/** Says of which nodes a listing may differ from earlier ones. Computes may never send it. */
export interface NodesChanged {
  readonly nodesChanged: ChangedNodes;
}

export type Change = RunRef | SignalledUpTo | NodesChanged;

export interface NodeRef {
  readonly name: string;
  /** The uid of the node object. A name may return with another machine, a uid never does. */
  readonly uid: string;
  /** `aws:///us-east-2a/i-0123456789abcdef0`, or null if no provider knows it. */
  readonly providerId: string | null;
}

export interface ComputeNode extends NodeRef {
  readonly instanceType: string;
  readonly zone: string;
  /** The provider's group that created it, by name. Absent if unknown. */
  readonly group?: string | undefined;
  readonly ready: boolean;
  /** Why it is not ready. Absent if it is ready, or if the reason is unknown. */
  readonly unready?: Unready | undefined;
  /** The fault that the machine itself reports, shown to operators. Absent while it is ready. */
  readonly fault?: string | undefined;
  /** Set if the cluster shows that its provider takes it back. */
  readonly interruption?: InterruptionKind | undefined;
  /** When its provider takes it back, ms. Absent if unknown. */
  readonly takenBackAt?: number | undefined;
  /** GPUs, vCPUs of a shared machine, or 1 for another CPU machine. */
  readonly units: number;
  /** Units in use by pods of others. */
  readonly foreignUnits: number;
  /** Its pods were not read: `foreignUnits` equals `units`, `runs` is absent. The next listing begins with it. */
  readonly unread?: true | undefined;
  /** Our runs that are bound there and have not ended. Absent if every run is on the nodes of its shares. */
  readonly runs?: readonly BoundRun[];
}

/**
 * Why a node accepts no new runs. A cordoned or tainted node responds, but it is closed or kept for others. `notReady`:
 * its machine does not respond, or reports that it is not ready.
 */
export const unreadies = ["notReady", "cordoned", "tainted"] as const;
export type Unready = (typeof unreadies)[number];

/**
 * Why a provider takes a machine back, by certainty. `rebalance`: a Spot interruption is likelier than usual. `removal`:
 * the machine was chosen to be removed, for example by Karpenter. `spot`: a Spot interruption, two minutes ahead.
 */
export const interruptionKinds = ["rebalance", "removal", "spot"] as const;
export type InterruptionKind = (typeof interruptionKinds)[number];

export interface BoundRun {
  readonly uid: string;
  readonly run: number;
  readonly units: number;
  /**
   * Changes whenever the cluster changes what `observe` returns for this run and node, except `sessions`. Absent if a
   * listing cannot tell.
   */
  readonly mark?: string | undefined;
}

/** A node that a run is bound to. Its uid is that of the node object at the time of binding. */
export interface BoundNode extends NodeRef {
  /** null if it responds. */
  readonly silent: Silence | null;
  /** The run's mark in a listing. It stays the same while nothing changes. */
  readonly mark?: string | undefined;
}

/** How a node object shows an unresponsive machine, lost or temporary. `missing`: there is no node object. */
export type Silence = "notReady" | "missing";

/**
 * The provider's answer about a machine. `gone`: terminated, stopped or unknown to the provider. `unknown`: there is no
 * answer or no provider, so only the operator can declare it gone.
 */
export type MachineState = "running" | "gone" | "unknown";

export interface Removal {
  readonly graceSeconds: number;
  readonly force: boolean;
  /**
   * Removes the run only while `observe` would show it as unbound, checked where the run is. Otherwise it throws
   * `RunBound`, and the run continues. One unbound machine is enough. Succeeds if nothing of the run exists.
   */
  readonly unlessBound?: true;
  /** Only leftovers of `listParts` exist. Throws if one cannot be deleted, after deleting the others. */
  readonly leftovers?: true;
  /**
   * The number of machines. Each is replaced by a tombstone for at least a minute, so that a late `apply` of this run
   * number throws. Absent: no tombstones.
   */
  readonly tombstones?: number;
}

export interface Notice {
  /**
   * `warning`: the run will end. `news`: the warning is withdrawn. `end`: the run ends now. Users who log in later read
   * warnings and ends too.
   */
  readonly kind: "warning" | "news" | "end";
  /** One line without control characters. */
  readonly words: string;
  /** When it was decided, ms. A notice sent twice with the same time is shown once. */
  readonly at: number;
  /** When the run ends, if a warning knows it, ms. */
  readonly endsAt?: number | undefined;
}

/**
 * Runs environments. Every call may be repeated, because names derive from uid and run. `observe` returns undefined
 * exactly when nothing of the run exists, so `remove` is finished then.
 */
export interface Compute {
  /**
   * Throws `RunRefused` if the run will never be accepted, and `RunNotTaken` if it was not accepted for a known reason.
   * Some of the run may exist in either case.
   */
  apply(run: Run): Promise<void>;
  /** Returns undefined if nothing of the run exists, or only parts that are undone when the caller dies. */
  observe(uid: string, run: number): Promise<Observation | undefined>;
  /**
   * Starts the command of a run that `waitsToBegin`. Does nothing to any other run. If one of its machines did not
   * respond, the run keeps waiting.
   */
  begin(uid: string, run: number): Promise<void>;
  /**
   * Sends SIGTERM to the command, and SIGKILL after the grace period. `observe` then returns `ended`, and `readLog`
   * works until `remove`. Does nothing if the run is gone, has ended or has not begun. Returns false if only `remove`
   * can end it.
   */
  terminate(uid: string, run: number, graceSeconds: number): Promise<boolean>;
  /** Reports whether the requested tombstones exist. If not, a late `apply` may start the run again. */
  remove(uid: string, run: number, removal: Removal): Promise<boolean>;
  /** Moves the safety net forward. Does nothing if the run is gone. Throws if another process is changing the run. */
  extend(uid: string, run: number, until: number): Promise<void>;
  /**
   * Replaces the authorized keys and the served ports. Does nothing if the run is gone or already has a higher
   * revision, because a worker with older data may come last.
   */
  setAccess(uid: string, run: number, access: Access): Promise<void>;
  /** Changes the limits of a living run. Does nothing if it is gone or already has a higher revision. */
  resize(uid: string, run: number, resources: Resources, revision: number): Promise<void>;
  /**
   * Counts activity without a connection: Jupyter kernels, and terminals with a program in the foreground. null means
   * unknown and counts as use. Called only before a run is stopped as idle.
   */
  countWork(uid: string, run: number): Promise<number | null>;
  /** Shows a notice at the terminals of a run. Other users read the timeline or get the webhook. */
  tell(uid: string, run: number, notice: Notice): Promise<void>;
  /**
   * Starts a command, unless one with this id was started before. Throws `RunGone` if no run is alive. Processes that
   * leave the session end with the run.
   */
  startExec(uid: string, run: number, exec: Exec): Promise<void>;
  /**
   * Returns when the exec has ended, or after `waitMs` (at most 4 s). Returns undefined for an unknown exec. Throws if
   * its state cannot be read now, for example because the run has no process left for that.
   */
  readExec(uid: string, run: number, id: string, waitMs: number): Promise<ExecStatus | undefined>;
  /** Posts JSON to a port of the run. Gives up after `timeoutMs` (at most 5 s). Throws if there is no answer. */
  postToPort(uid: string, run: number, request: PortRequest): Promise<PortAnswer>;
  /**
   * Returns the newest MiB of the command's output, both streams as one, or no bytes before it began. `known` is the
   * end of the last result, which helps a compute without positions find the start of this one. Gives up after 3 s.
   */
  readLog(uid: string, run: number, knownLogEnd?: LogEnd): Promise<RunLog>;
  listRuns(uid?: string): Promise<RunRef[]>;
  /**
   * Lists the runs with objects that neither `observe` nor `listRuns` shows, such as the variables of a command that
   * waits to start. They remain if a process dies before the run is visible. `remove` deletes them.
   */
  listParts(): Promise<RunRef[]>;
  /**
   * Yields runs whose observation may have changed (bound, step, ready, ended, gone) until `signal` aborts. A change
   * may be reported late, twice or never. It begins with every existing run, or with the changes after `from` if those
   * are still known. Nodes are reported as a whole.
   */
  changes(signal: AbortSignal, from?: string): AsyncIterable<Change>;
  /**
   * Lists the nodes of all types, or only those with these names, or throws. If time is short, the pods of some stay
   * `unread`.
   */
  listNodes(names?: ReadonlySet<string>): Promise<ComputeNode[]>;
  /** Returns the state that `observe` would report for this node, for a node without bound runs. Never cached. */
  findSilence(node: NodeRef): Promise<Silence | null>;
  /** Asks the provider. Returns `unknown` if the call fails or no provider exists. */
  getMachineState(node: NodeRef): Promise<MachineState>;
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
  /** At most 1 MiB. */
  readonly body: string;
}
