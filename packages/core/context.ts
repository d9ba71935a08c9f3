import type { Sealed } from "./sealed.ts";

/** Where an item lives. Both parts are plain text; `answers` of what they hold are in keys.ts. */
export interface Key {
  readonly pk: string;
  readonly sk: string;
}

/**
 * What every stored item has: the tokens of the puts that wrote it, the newest first; none in what is not stored yet. A
 * table hands out one that names no newest writer as `NOBODY`'s (writers.ts).
 */
export interface Stored extends Key {
  readonly writers: readonly string[];
}

/** An item as read: nothing but its key and writers is known until a parser has looked at it. */
export interface Item extends Stored {
  readonly [field: string]: unknown;
}

export interface PartitionQuery {
  readonly pk: string;
  /** Only items whose `sk` begins with this. */
  readonly prefix?: string;
  /** The `next` of the page before. */
  readonly after?: string;
  readonly limit?: number;
  readonly newestFirst?: boolean;
  /** Answers of each item only its key and its `briefFields`: what a list of many sorts and filters by. */
  readonly brief?: boolean;
}

/** Small fields that every table keeps apart from the rest of an item, whatever its kind. */
export const briefFields = ["kind", "uid", "phase", "step", "end", "createdAt", "ttl"] as const;

export type IndexName = "due" | "waiting";

export interface IndexQuery {
  readonly index: IndexName;
  readonly partition: string;
  /** Only entries whose sort value is at least this: a number for `due`, text for `waiting`. */
  readonly from?: number | string;
  /** Only entries whose sort value is at most this, and so not below `from`. */
  readonly to?: number | string;
  readonly after?: string;
  readonly limit?: number;
}

/** A range of an index, and how many of its entries are counted at most. */
export type IndexRange = Pick<IndexQuery, "index" | "partition" | "from" | "to"> & { readonly limit: number };

/** One of the items of a `putAll`, and on what condition; as in `put`. */
export interface ConditionalPut {
  readonly item: Stored;
  readonly ifWriter: string | null;
}

/** DynamoDB takes 100 in one transaction; no decision of the core needs more than these. */
export const MOST_PUT_AT_ONCE = 25;

export interface Page {
  readonly items: Item[];
  /** Present while there is more. Opaque: hand it back as `after`. */
  readonly next?: string;
}

/**
 * The records. Reads by key and by partition are consistent; the two indexes may be late
 * (docs/architecture.md#the-table). `put` replaces the whole item: `ifWriter` null means that it must be absent, a
 * token that its newest writer must still be that one (or nobody's), none that it is written whatever was there. Throws
 * `Conflict` when the condition does not hold, which may be the effect of the very same put, repeated below
 * (write-record.ts).
 */
export interface Table {
  get(key: Key): Promise<Item | undefined>;
  /** Consistent, in any number; what is absent is left out and the order is not kept. */
  getMany(keys: readonly Key[]): Promise<Item[]>;
  put(item: Stored, options?: { readonly ifWriter?: string | null }): Promise<void>;
  putAll(puts: readonly ConditionalPut[]): Promise<void>;
  remove(key: Key, options: { readonly ifWriter: string }): Promise<void>;
  query(query: PartitionQuery | IndexQuery): Promise<Page>;
  /** How many entries the range has, counted up to its limit. */
  count(range: IndexRange): Promise<number>;
}

/** `webhooks` is apart from `work`, so that a slow receiver delays nobody else. */
export type QueueName = "work" | "pools" | "webhooks";

/** All that a message says: look at this record. `for` names environments that a look at a pool must consider. */
export interface Look {
  readonly look: string;
  readonly for?: readonly string[];
  /**
   * The world signalled a change: the record is looked at although it is not due
   * (docs/architecture.md#level-triggering).
   */
  readonly hint?: true;
}

export interface SendOptions {
  /** 0 to 900. Refused on `pools`, which is FIFO and takes no delay per message. */
  readonly delaySeconds?: number;
  /** The message group; required on `pools`, unknown on `work`. */
  readonly group?: string;
}

export interface QueueDepth {
  /** Those that a worker could receive now. */
  readonly visible: number;
  /** Those whose delay is not over. */
  readonly delayed: number;
}

export interface Queue {
  send(queue: QueueName, message: Look, options?: SendOptions): Promise<void>;
  /** About how many messages wait undelivered. */
  depth(queue: QueueName): Promise<QueueDepth>;
}

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
  /** `ssh` and `jupyter` are the doors of every run; `http` and `tcp` are served by what runs inside. */
  readonly kind: "ssh" | "jupyter" | "http" | "tcp";
}

export interface Resources {
  readonly cpus: number;
  readonly memoryMb: number;
}

/** A command to be run beside the run's own, in a session of its own. */
export interface Exec {
  /** Lower-case letters, digits and `-`: the same one twice is run once. */
  readonly id: string;
  /** Run as they are: no shell is built from them. */
  readonly words: readonly string[];
  readonly stdin: string;
  readonly env: Readonly<Record<string, string>>;
  /** Absolute, as seen inside; undefined: where the run works. */
  readonly directory: string | undefined;
  /** Then its whole process group is killed. */
  readonly timeoutMs: number;
}

/** What became of an exec. */
export interface ExecSight {
  readonly state: "running" | "ended";
  /** 128 + signal where one killed it, 124 at its time-out; null while it runs. */
  readonly exitCode: number | null;
  readonly timedOut: boolean;
  /** Of each stream the first MiB, as UTF-8 with bad bytes replaced. */
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutCut: boolean;
  readonly stderrCut: boolean;
  /** Where a shell's last command left it, if it said so (see `directoryFile`); null otherwise. */
  readonly directory: string | null;
}

/** How far a run has come. `ended` covers every way of ending; `reason` then says which. */
export type RunState = "unbound" | "image" | "container" | "probe" | "ready" | "ended";

/** Where a run is reached by SSH. */
export interface RunAddress {
  readonly ip: string;
  readonly port: number | null;
  /** The public key by which its SSH server is known, `<type> <base64>`. */
  readonly hostKey?: string | undefined;
}

export interface Observation {
  readonly state: RunState;
  /** Whether the command began at all: an image that cannot be pulled ended without having started. */
  readonly started: boolean;
  readonly exitCode: number | null;
  /** When it ended, ms; null while it lives, and where nobody saw it end. */
  readonly endedAt: number | null;
  /** In words, for the user: `command was killed by signal SIGKILL`, `Image not found`. */
  readonly reason: string | null;
  /** Where it listens, of the first machine. */
  readonly address: RunAddress | null;
  /** Nodes it was really bound to, in the order of its shares; empty while unbound. */
  readonly nodes: readonly BoundNode[];
  readonly isolation: string;
  /** Jupyter as the run serves it; null when it was not asked for, or is off again. */
  readonly jupyter: JupyterSight | null;
  /** Where its ports are reached from outside, as far as that is known. */
  readonly ports: readonly PortSight[];
  /** In words, how CPU, memory and processes are limited; `none` where nothing can. */
  readonly limits: string;
  /** Open terminals and running execs; null: nobody can tell, which counts as somebody at work. */
  readonly sessions: number | null;
  /** Being removed: some of it is still there. */
  readonly terminating: boolean;
  /** Things worth a line in the timeline, for example that an image is recorded and not pulled. */
  readonly notes: readonly string[];
}

export interface PortSight extends RunPort {
  /** `127.0.0.1:40123`; null until it is known. */
  readonly address: string | null;
  /** Whether it answered when last asked. */
  readonly answers: boolean;
}

export interface JupyterSight {
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
  /** The user name at its SSH door: `gpu-dev-9e41c7d3`. */
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

/** A machine as the cluster and its provider name it. */
export interface NodeRef {
  readonly name: string;
  /** Of the node object: a name may come back with another machine, a uid never does. */
  readonly uid: string;
  /** `aws:///us-east-2a/i-0123456789abcdef0`; null: no provider knows it. */
  readonly providerId: string | null;
}

export interface ComputeNode extends NodeRef {
  readonly instanceType: string;
  readonly zone: string;
  readonly ready: boolean;
  /** What it offers: GPUs, vCPUs of a shared machine, 1 for another CPU machine. */
  readonly units: number;
  /** Those of them that are in use by pods that are not ours. */
  readonly foreignUnits: number;
  /** Our runs that are bound there and have not ended; absent where every run is on the nodes of its shares. */
  readonly runs?: readonly { readonly uid: string; readonly units: number }[];
}

/** A node that a run is bound to; its uid stays that of the node object at the time of binding. */
export interface BoundNode extends NodeRef {
  /** false: that node object is not ready, or not there any more. The machine may be lost, or come back. */
  readonly answers: boolean;
}

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
   * Only while `observe` would show it as unbound and not started, which is decided where the run is: else it throws
   * `RunBound`, and the run goes on. Done where nothing of it is there.
   */
  readonly unlessBound?: true;
}

/**
 * What runs environments. Every call may be repeated: names derive from uid and run.
 * `observe` answers undefined exactly when nothing of the run is left, so `remove` is done when it does.
 */
export interface Compute {
  /** After `remove` of a run, `apply` of that run number throws for at least an hour, whether it ever began or not. */
  readonly refusesSecondStart: boolean;
  apply(run: Run): Promise<void>;
  /** undefined: nothing of it is there, or only what the end of whoever applies it would undo. */
  observe(uid: string, run: number): Promise<Observation | undefined>;
  remove(uid: string, run: number, removal: Removal): Promise<void>;
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
   * Starts a command, unless one of this id was started before. Throws `RunGone` when there is no living run. Whatever
   * leaves the session is ended with the run.
   */
  startExec(uid: string, run: number, exec: Exec): Promise<void>;
  /** Answers when it has ended, or after `waitMs` (at most 4 s); undefined when no such exec is known. */
  readExec(uid: string, run: number, id: string, waitMs: number): Promise<ExecSight | undefined>;
  /** One POST of JSON to a port of the run, given up after `timeoutMs` (at most 5 s). Throws when nothing answered. */
  postToPort(uid: string, run: number, request: PortRequest): Promise<PortAnswer>;
  /** Output of the command, both streams as one text, the newest MiB; "" before it began. Given up after 3 s. */
  readLog(uid: string, run: number): Promise<string>;
  listRuns(): Promise<RunRef[]>;
  /**
   * Endless until `signal` aborts: a run whose observation may have changed (bound, step, ready, ended, gone). A change
   * may be signalled late, twice or never.
   */
  changes(signal: AbortSignal): AsyncIterable<RunRef>;
  /** Every node, of all types; throws rather than answer with a part of them. */
  listNodes(): Promise<ComputeNode[]>;
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

export interface VolumeRef {
  readonly id: string;
  /** A volume is in one zone and pins what uses it to it; empty where no zone is known: then it pins nothing. */
  readonly zone: string;
}

export interface Volume extends VolumeRef {
  /** Whether some machine still has it mounted. */
  readonly attached: boolean;
}

/** What is written on a snapshot for people; nothing is decided by it but which attempt made it. */
export interface SnapshotTags {
  /** The disk's name. */
  readonly name: string;
  /** The disk's uid. */
  readonly disk: string;
  /** The claim under which it was made. */
  readonly attempt: string;
}

export interface VolumeSnapshot {
  readonly id: string;
  readonly state: "pending" | "completed" | "failed";
  /** The point in time it holds, ms. */
  readonly at: number;
  readonly tags: Partial<SnapshotTags>;
}

/** Volumes and their snapshots: EBS, or directories on a laptop. What was just made may be listed and found late. */
export interface Volumes {
  /** What was made is listed and found by its id so much later at the latest, ms. */
  readonly listedWithinMs: number;
  /**
   * Empty, or restored from a completed snapshot. Repeated with the same token it answers the same volume; it throws
   * when the token is used with another zone, size or snapshot, as EC2 does.
   */
  createVolume(wanted: {
    readonly token: string;
    readonly sizeGb: number;
    readonly zone: string;
    readonly snapshotId: string | undefined;
  }): Promise<VolumeRef>;
  findVolume(id: string): Promise<Volume | undefined>;
  /** The volumes that were made with this token and still exist. */
  listVolumes(token: string): Promise<Volume[]>;
  /** Nothing happens when it is gone. */
  removeVolume(id: string): Promise<void>;
  /**
   * Takes it off this machine by force, whatever that does: only from a lost one. Nothing happens when it is attached to
   * another machine, or to none.
   */
  detachVolume(id: string, machine: NodeRef): Promise<void>;
  /**
   * Not repeatable: each call makes another one (CreateSnapshot takes no token), so it is claimed first. Throws
   * `VolumeRefused` where certainly none was made: a limit, throttling. Anything else leaves that open. Where the
   * adapter can, it leaves a list of its files in Blobs (disks/content.ts).
   */
  createSnapshot(volumeId: string, tags: SnapshotTags): Promise<VolumeSnapshot>;
  /** Every snapshot of this volume, however it came to be. */
  listSnapshots(volumeId: string): Promise<VolumeSnapshot[]>;
  findSnapshot(id: string): Promise<VolumeSnapshot | undefined>;
  /** Nothing happens when it is gone. */
  removeSnapshot(id: string): Promise<void>;
  /** Throws `VolumeRefused` with words for the user when this snapshot cannot be tagged. */
  tagSnapshot(id: string, tags: Pick<SnapshotTags, "name" | "disk">): Promise<void>;
  /** Begins to put a zip of all its files under this name into Blobs; nothing happens when that was begun before. */
  startArchive(volumeId: string, blob: string): Promise<void>;
  /** How far that has come; undefined: never begun. */
  findArchive(blob: string): Promise<Archive | undefined>;
}

export interface Archive {
  readonly state: "pending" | "completed" | "failed";
  /** Of the zip, once it is completed. */
  readonly bytes: number;
}

/**
 * Files by name, at most some MiB each: logs, backups. A name is lower-case words, digits and `-`, in folders divided by
 * `/`. A call that hangs is given up after 2 s.
 */
export interface Blobs {
  /** Replaces what was there. */
  put(name: string, bytes: Uint8Array): Promise<void>;
  get(name: string): Promise<Uint8Array | undefined>;
  /** Nothing happens when it is gone. */
  remove(name: string): Promise<void>;
  /** Removes all whose names begin with this one and a `/`. */
  removeUnder(name: string): Promise<void>;
}

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

/** A GetCallerIdentity request that the client signed itself, already checked by the login. */
export interface SignedIdentityRequest {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

export interface CallerIdentity {
  readonly account: string;
  readonly arn: string;
}

/**
 * Asks STS who somebody is. Throws `IdentityRefused` with STS's own code when it says no,
 * anything else when STS could not be asked (3 tries of at most 3 s, 10 s together).
 */
export interface Identity {
  callerOfCredentials(credentials: AwsCredentials): Promise<CallerIdentity>;
  callerOfRequest(request: SignedIdentityRequest): Promise<CallerIdentity>;
}

/** The public SSH keys that GitHub users have published. */
export interface GithubKeys {
  /** One key a line, as GitHub answers; undefined when there is no such user. Throws when it could not be asked. */
  keysOf(user: string): Promise<string | undefined>;
}

/** Posts to receivers that users name. What they name is never trusted (docs/apis/novita.md#webhooks). */
export interface Fetch {
  /**
   * `private`: a literal address, or a name that resolves to one, that is not to be dialled. A name that does not
   * resolve is `allowed`: it may later, and is looked at again when it is dialled.
   */
  judge(url: string): Promise<"allowed" | "private">;
  /** Redirects are not followed. Throws `AddressRefused` before anything is sent, anything else when nothing answered. */
  post(request: FetchRequest): Promise<FetchAnswer>;
}

export interface FetchRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** For the whole exchange, ms. */
  readonly timeoutMs: number;
}

export interface FetchAnswer {
  readonly status: number;
  /** Of a Retry-After header that can be read. */
  readonly retryAfterMs: number | null;
}

/** Authenticated encryption of short texts; `context` must be equal at both ends (the record's key). */
export interface Sealer {
  seal(text: string, context: string): Promise<Sealed>;
  /** Throws `WrongSeal` when it was changed, or sealed for another context or with another key. */
  open(sealed: Sealed, context: string): Promise<string>;
}

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds since some fixed moment; never jumps. */
  monotonic(): number;
  /** Resolves after this many ms. */
  sleep(ms: number): Promise<void>;
}

export interface Ids {
  /** 128 random bits as 32 hex digits. */
  uid(): string;
  /** A lower-case UUID version 7: sorts by the time it was made. */
  uuid7(): string;
  /** A lower-case UUID version 4: nothing but random. */
  uuid4(): string;
  /** Random bytes as base64url without padding. */
  secret(bytes: number): string;
  /** SHA-256 as 64 hex digits. */
  hash(text: string): string;
  /** HMAC-SHA256 of a text under a key of bytes, as bytes. */
  hmac(key: Uint8Array, text: string): Uint8Array;
}

export interface Log {
  info(event: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void;
  error(event: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** What outside systems are reached by. An endpoint or consumer names those it uses. */
export interface Ports {
  readonly table: Table;
  readonly queue: Queue;
  readonly compute: Compute;
  readonly volumes: Volumes;
  readonly blobs: Blobs;
  readonly identity: Identity;
  readonly sealer: Sealer;
  readonly githubKeys: GithubKeys;
  readonly fetch: Fetch;
}

export type PortName = keyof Ports;

/** What makes machines of one type when somebody waits for them: an autoscaled group. */
export interface NodeGroup {
  /** Of machines of this type. */
  readonly pool: string;
  /** Machines that it may have in all. */
  readonly mostNodes: number;
  /** From the moment somebody waits until the machine is ready. */
  readonly startupMs: number;
  /** Where it makes them; none: anywhere. */
  readonly zones: readonly string[];
}

/** Numbers and lists a deployment sets; parsed once, in packages/aws/config.ts. */
export interface Settings {
  readonly allowedRoles: readonly string[];
  readonly allowedAccounts: readonly string[];
  readonly keyTtlHours: number;
  /** How long after the AWS login a key can still be rotated, and how far the last one of the chain reaches. */
  readonly keyChainHours: number;
  /** How much longer a key works that was rotated. */
  readonly keyOverlapSeconds: number;
  readonly loginServerId: string;
  readonly stsOrigins: readonly string[];
  readonly minDurationHours: number;
  readonly maxDurationHours: number;
  readonly maxTotalHours: number;
  readonly maxQueueHours: number;
  /** How many environments of one owner may wait in one pool; 0: any number. */
  readonly maxWaitingPerUser: number;
  readonly preparingMinutes: number;
  /** Those that can make machines; a pool without one has what the cluster lists. */
  readonly nodeGroups: readonly NodeGroup[];
  readonly sweepSeconds: number;
  /** How long a deleted disk can still be undeleted. */
  readonly diskRetentionDays: number;
  /** Users who are operators, by name. */
  readonly adminUsers: readonly string[];
  /** AWS roles that may log in and whose keys are those of an operator. */
  readonly adminRoles: readonly string[];
  /** Of the addresses that environments are served under: `preview.localhost:8080`. */
  readonly domain: string;
  /** `http` on a laptop. */
  readonly scheme: "http" | "https";
  /** Signs webhooks; undefined: they are not signed. */
  readonly webhookSecret: string | undefined;
  /** What a session of an IDE runs; it serves port 8080 and takes `POST /chat` there. */
  readonly sessionImage: string;
  /** Whether the volume of a session is kept as a zip when it is deleted. */
  readonly sessionBackup: boolean;
  /** Where workspaces are offered: `centralindia`. */
  readonly regions: readonly string[];
  /** What a workspace runs, with `<base>` for the base that was asked for; it serves port 8080. */
  readonly workspaceImage: string;
  /** A file of products and templates in place of those that come with Berth; undefined: those. */
  readonly catalogueFile: string | undefined;
  /** How long an exec call may wait and run, seconds. */
  readonly execCapSeconds: number;
  /** An idle environment is told so and not stopped. */
  readonly idleDryRun: boolean;
  /** A local stack serves the dialects without a slot for a key to its own machine without one. */
  readonly open: boolean;
}

/** What every verb is given: clock, ids, log and settings always, of the ports those it asks for. */
export type Context<Uses extends PortName = never> = Pick<Ports, Uses> & {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly settings: Settings;
};

/** The Berth user that a presented key belongs to. */
export interface Actor {
  readonly uid: string;
  readonly username: string;
  /** The integer id that login answers with. */
  readonly number: number;
  readonly keyPrefix: string;
  /** SHA-256 of the key that was presented. */
  readonly keyHash: string;
  /** An operator: decided by the settings at each request, never stored. */
  readonly isAdmin: boolean;
}

/** The context of a request: who asks, and through which dialect. */
export type UserContext<Uses extends PortName = never> = Context<Uses> & {
  readonly actor: Actor;
  readonly dialect: string;
  /** What the dialect calls an environment in its texts. */
  readonly noun: string;
};
