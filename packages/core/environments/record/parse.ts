import { isPoolPart } from "../../pools/capacity/pool-parts.ts";
import {
  interruptionKinds,
  type NodeRef,
  type PortStatus,
  type Resources,
  type RunAddress,
  type RunPort,
  type Share,
} from "../../ports/compute.ts";
import { lackKinds } from "../../ports/machine-groups.ts";
import type { Item } from "../../ports/table.ts";
import type { VolumeRef } from "../../ports/volumes.ts";
import { isVolumeMaking } from "../../reconciler/pending-creates.ts";
import { environmentsPartition } from "../../store/keys.ts";
import type { Sealed } from "../../store/sealed.ts";
import {
  branded,
  count,
  flag,
  list,
  literal,
  mapping,
  mark,
  number,
  optional,
  ordinal,
  orNull,
  shape,
  type Table,
  text,
  uid,
} from "../../store/shape.ts";
import { type Common, createParser } from "../../store/unreadable.ts";
import type { AccessState, Guest, Refusal } from "./changes/access.ts";
import type { Action } from "./changes/actions.ts";
import type { GpuUse, RecordedIdle } from "./changes/idle.ts";
import type { DiskUse, OwnVolume } from "./disk/disk-use.ts";
import type { ArchiveUse, BackupClaim, End, Outcome } from "./end.ts";
import type { KeptLog } from "./log/kept-log.ts";
import { endPhases, phases } from "./phases.ts";
import type { IdlePolicy, Policy } from "./policy.ts";
import {
  type About,
  type DesiredState,
  type Environment,
  type Events,
  isEnded,
  type Placement,
  type QueuedStart,
  type Requests,
  type Size,
  type Times,
  type Use,
  type Withdrawn,
} from "./record.ts";
import type { Machine } from "./run/machine.ts";
import type { RunGrant, RunInterruption, RunState } from "./run/run-state.ts";
import type { Unseen } from "./run/unseen.ts";
import type { TimelineEntry } from "./timeline.ts";

const moment = orNull(number);
const sealed = branded<Sealed>();
const end = literal(...endPhases);
const phase = literal(...phases);
const step = literal("disk", "pod", "image", "container", "probe");

export const isSize = shape<Size>({
  pool: text,
  instanceType: text,
  machines: ordinal,
  units: ordinal,
  gpus: count,
  wantedMs: number,
});
const shares = list(shape<Share>({ node: orNull(text), units: ordinal, zone: optional(text), group: optional(text) }));
const resources = shape<Resources>({ cpus: number, memoryMb: number });
const runPort: Table<RunPort> = { port: ordinal, kind: literal("ssh", "jupyter", "http", "tcp") };
export const volumeRef = shape<VolumeRef>({ id: text, zone: text });
const outcome = shape<Outcome>({
  phase: end,
  reason: orNull(text),
  at: number,
  isLimit: mark,
  exitCode: optional(number),
});

const policy = shape<Policy>({
  time: literal("run", "creation", "none"),
  restarts: flag,
  idle: orNull(shape<IdlePolicy>({ afterMs: number, everyMs: number })),
  archives: orNull(text),
  readyWithinMs: moment,
  firstFailure: literal("keeps", "clears"),
  forgetsSpec: flag,
  onInterruption: optional(literal("requeue")),
  leastMs: optional(number),
  ownGraceSeconds: optional(number),
});

const access = shape<AccessState>({
  login: text,
  guests: list(
    shape<Guest>({
      name: text,
      state: literal("wanted", "fetched", "in"),
      known: flag,
      asked: mark,
      tries: count,
      nextAt: number,
    }),
  ),
  jupyter: orNull(shape<NonNullable<AccessState["jupyter"]>>({ token: sealed, origin: orNull(text) })),
  jupyterFault: optional(text),
  guestFault: optional(shape<NonNullable<AccessState["guestFault"]>>({ name: text, reason: text })),
  keyed: flag,
  revision: count,
  applied: orNull(shape<NonNullable<AccessState["applied"]>>({ run: ordinal, revision: count })),
  refused: optional(shape<Refusal>({ run: ordinal, request: ordinal, tries: ordinal, nextAt: number })),
});

const idle = shape<RecordedIdle>({
  verdict: literal("keep", "stop"),
  signal: literal("start", "heartbeat", "exec", "sessions", "unknown sessions", "gpus"),
  since: number,
  at: number,
  dryRun: flag,
  seenAt: optional(number),
  warnedAt: optional(number),
});

const action = shape<Action>({
  id: ordinal,
  kind: literal("cancel", "extend", "enable_jupyter", "disable_jupyter", "add_user", "resize"),
  subject: optional(text),
  extraMs: optional(number),
  writer: text,
  status: literal("requested", "done", "failed"),
  reason: orNull(text),
  requestedAt: number,
  completedAt: moment,
});

export const timelineEntry = shape<TimelineEntry>({
  n: ordinal,
  at: number,
  phase,
  step: orNull(step),
  reason: orNull(text),
});

export const isOwnVolume = shape<OwnVolume>({ name: text, path: text, sizeGb: number, volume: orNull(volumeRef) });
const nodeRef: Table<NodeRef> = { name: text, uid: text, providerId: orNull(text) };
const machine = shape<Machine>({
  ...nodeRef,
  silent: orNull(shape<NonNullable<Machine["silent"]>>({ how: literal("notReady", "missing"), since: number })),
});

type Groups = Pick<Environment, "goal" | "run" | "placement" | "end" | "times" | "use" | "requests" | "events">;

export const groups: { readonly [Group in keyof Groups]: Table<Groups[Group]> } = {
  goal: {
    desired: literal("active", "stopped", "deleted"),
    start: orNull(shape<QueuedStart>({ size: orNull(isSize), receiver: orNull(sealed) })),
    startedBy: optional(text),
    stoppedBy: optional(text),
  },
  run: {
    n: ordinal,
    resized: orNull(resources),
    resizing: optional(shape<NonNullable<RunState["resizing"]>>({ tries: ordinal, nextAt: number })),
    error: orNull(text),
    preparingAt: moment,
    startedAt: moment,
    leftoversAt: moment,
    grant: orNull(
      shape<RunGrant>({
        id: text,
        shares,
        at: number,
        startupMs: optional(number),
        avoids: optional(list(isPoolPart)),
      }),
    ),
    machines: list(machine),
    applyingAt: moment,
    appliedAt: moment,
    noStartSince: moment,
    terminatedAt: optional(number),
    removedAt: moment,
    startsRefused: mark,
    released: optional(ordinal),
    missedAt: moment,
    going: mark,
    readyAt: optional(number),
    machineAt: optional(number),
    withdrawing: flag,
    lacksVolume: mark,
    refusedForNow: mark,
    lacks: optional(literal(...lackKinds)),
    refusedByNode: optional(text),
    isRejected: mark,
    interruption: optional(
      shape<RunInterruption>({ kind: literal(...interruptionKinds), node: text, endsAt: optional(number) }),
    ),
    mark: optional(text),
    address: orNull(
      shape<RunAddress>({ ip: text, port: orNull(number), hostKey: optional(text), problem: optional(text) }),
    ),
    ports: list(shape<PortStatus>({ ...runPort, address: orNull(text), answers: flag, hasLogin: mark })),
    isolation: orNull(text),
    limits: orNull(text),
  },
  placement: {
    withdrawn: orNull(
      shape<Withdrawn>({
        run: ordinal,
        nodes: list(text),
        at: number,
        saidSo: mark,
        lacksMachine: mark,
        lacks: optional(literal(...lackKinds)),
        zone: optional(text),
      }),
    ),
    withdrawals: count,
    unseen: optional(count),
    refusals: optional(shape<NonNullable<Placement["refusals"]>>({ count, until: number })),
    shortened: optional(shape<NonNullable<Placement["shortened"]>>({ ms: number, until: number })),
    ledgers: list(text),
  },
  end: {
    outcome: orNull(outcome),
    archive: orNull(
      shape<ArchiveUse>({
        blob: text,
        file: text,
        named: mark,
        startedAt: moment,
        silent: optional(shape<NodeRef>(nodeRef)),
        settled: flag,
      }),
    ),
    backup: orNull(
      shape<BackupClaim>({
        attempt: ordinal,
        tried: optional(ordinal),
        until: number,
        since: number,
        refused: optional(text),
      }),
    ),
    at: moment,
    stoppingAt: moment,
    waitsFor: orNull(text),
    alarmedAt: moment,
    cleanSince: moment,
    cleanLooks: count,
  },
  times: {
    firstActiveAt: moment,
    endsAt: moment,
    endSetAt: optional(number),
    warnedMinutes: moment,
    warnedOf: optional(number),
    earlierMs: optional(number),
  },
  use: {
    lastUsedAt: moment,
    busyUntil: moment,
    idle: orNull(idle),
    gpus: optional(shape<GpuUse>({ since: number, at: number, warnedAt: moment })),
  },
  requests: { list: list(action), count },
  events: {
    receiver: shape<Events["receiver"]>({ always: orNull(sealed), run: orNull(sealed) }),
    timeline: list(timelineEntry),
    count,
    emitted: count,
  },
};

export const environmentTable: Table<Omit<Environment, Common>> = {
  uid,
  owner: text,
  id: text,
  createdBy: text,
  name: text,
  labels: mapping(text),
  goal: shape<DesiredState>(groups.goal),
  end: shape<End>(groups.end),
  phase,
  step: orNull(step),
  reason: orNull(text),
  run: shape<RunState>(groups.run),
  size: isSize,
  zone: orNull(text),
  hasCommand: flag,
  about: optional(shape<About>({ image: text, envNames: list(text) })),
  spec: orNull(text),
  policy,
  ports: list(shape(runPort)),
  resources: orNull(resources),
  disk: orNull(shape<DiskUse>({ uid, name: text, leased: flag, attached: flag, released: flag, written: mark })),
  volumes: list(isOwnVolume),
  making: list(isVolumeMaking),
  addressLabel: orNull(text),
  starts: count,
  times: shape<Times>(groups.times),
  events: shape<Events>(groups.events),
  use: shape<Use>(groups.use),
  createdAt: number,
  queuedAt: number,
  placement: shape<Placement>(groups.placement),
  access,
  requests: shape<Requests>(groups.requests),
  log: optional(
    shape<KeptLog>({
      blob: orNull(text),
      hash: text,
      cut: flag,
      at: number,
      failed: flag,
      lastOf: optional(ordinal),
      start: optional(count),
      bytes: optional(count),
      run: optional(ordinal),
      base: optional(count),
      mark: optional(text),
    }),
  ),
  logWantedUntil: optional(number),
  unseen: optional(shape<Unseen>({ ms: number, runMs: number, since: optional(number), machine: optional(text) })),
  looks: count,
  attempts: count,
  fault: orNull(text),
  dueShard: text,
  dueAt: optional(number),
  waitPool: optional(text),
  waitOrder: optional(text),
  ttl: optional(number),
};

const runs: ReadonlySet<string> = new Set(["preparing", "active"]);

export const parseEnvironment: (item: Item) => Environment = createParser("environment", environmentTable, {
  "its key does not match its fields": ({ pk, owner, createdBy }) => pk === environmentsPartition(owner, createdBy),
  "it runs without a grant": ({ phase, run: { grant, preparingAt } }) =>
    !runs.has(phase) || (grant !== null && preparingAt !== null),
  "it is active without a start time": ({ phase, run: { startedAt } }) => phase !== "active" || startedAt !== null,
  "it ended and holds capacity": ({ phase, run: { grant } }) => !isEnded({ phase }) || grant === null,
  "it ended without an outcome": ({ phase, end: { outcome } }) => !isEnded({ phase }) || outcome?.phase === phase,
  "it is never due": ({ phase, dueAt }) => dueAt !== undefined || phase === "stopped" || isEnded({ phase }),
  "its place in line is inconsistent": ({ waitPool, waitOrder, phase, size }) =>
    waitPool === undefined ? waitOrder === undefined : phase === "queued" && waitPool === size.pool && !!waitOrder,
  "its grant names no machine": ({ run: { grant } }) => grant === null || grant.shares.length > 0,
  "its timeline goes on past its end": ({ events: { timeline, count: timelineCount, emitted } }) =>
    emitted <= timelineCount && timeline.every(({ n }) => n <= timelineCount),
});
