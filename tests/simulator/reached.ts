import type { Disk, DiskSnapshot } from "#core/disks/record.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { isEnded } from "#core/environments/record/record.ts";
import { failureCause } from "#core/pools/ledger/run-outcomes.ts";
import type { Item } from "#core/ports/table.ts";

/** Records which interesting states a schedule reached. A state that is never reached is not tested. */
export interface Reached {
  note(state: State): void;
  wroteEnvironment(before: Environment | undefined, next: Environment): void;
  wroteDisk(before: Disk | undefined, next: Disk): void;
  wroteItem(item: Item): void;
  all(): State[];
}

const NOT_BACKED_UP = "Its disk could not be backed up";
const MACHINE_LOST = "Its machine was lost";

type Change<Record> = (before: Record, next: Record) => boolean;

const ofEnvironments = {
  "completed as its command ended": ends(({ phase }) => phase === "completed"),
  "expired as its time was over": ends(({ phase }) => phase === "expired"),
  "cancelled while it waited": (before, next) => before.phase === "queued" && cancels(before, next),
  "cancelled while it was prepared": (before, next) => before.phase === "preparing" && cancels(before, next),
  "cancelled while it was active": (before, next) => before.phase === "active" && cancels(before, next),
  "failed by its command": fails("command"),
  "failed as it was killed": fails("killed"),
  "failed by its image": fails("image"),
  "failed as its run was lost": fails("lost"),
  "failed as its machine was lost": (before, next) =>
    before.end.outcome === null && next.end.outcome?.reason?.startsWith(MACHINE_LOST) === true,
  "stopped as its machine was lost": (before, next) =>
    before.run.error === null && next.run.error?.startsWith(MACHINE_LOST) === true,
  "queued again as its machine was lost": (before, next) => isRequeued(before, next, MACHINE_LOST),
  "queued again as it left a Spot machine": (before, next) => isRequeued(before, next, "It left its machine"),
  "a machine came back in time": (before, next) =>
    isSilent(before) && !isSilent(next) && next.run.machines.length > 0 && next.phase === before.phase,
  "failed at its preparing limit": fails("deadline"),
  "failed as no machine bound it": fails("placement"),
  "active on more than two machines": (before, next) =>
    before.phase !== "active" && next.phase === "active" && next.size.machines > 2,
  deleted: ends(({ phase }) => phase === "deleted"),
  "stopped by its owner": (before, next) =>
    stops(before, next) && next.run.error === null && next.reason !== "auto-stop",
  "stopped by a fault": (before, next) => stops(before, next) && next.run.error !== null,
  "stopped as idle": (before, next) => stops(before, next) && next.reason === "auto-stop",
  "started again": (before, next) => before.phase === "stopped" && next.phase === "queued",
  "started while it was being stopped": (before, next) => !before.goal.start && next.goal.start !== null,
  "grant withdrawn": (before, next) => next.placement.withdrawals > before.placement.withdrawals,
  "active after a grant was withdrawn": (before, next) =>
    before.phase === "preparing" && next.phase === "active" && next.placement.withdrawals > 0,
  "second look cleared": (before, next) =>
    before.run.missedAt !== null && next.run.missedAt === null && next.end.outcome === null,
  "warned before its end": (before, next) =>
    next.times.warnedMinutes !== null &&
    before.times.warnedMinutes !== null &&
    next.times.warnedMinutes < before.times.warnedMinutes,
  "extension done": closes("extend", "done"),
  "resized while it ran": closes("resize", "done"),
  "Jupyter turned on": closes("enable_jupyter", "done"),
  "a guest whom GitHub does not know": closes("add_user", "failed"),
  "a request that its end closed": (before, next) =>
    next.requests.list.some(
      ({ status, reason }, place) => status === "failed" && reason !== before.requests.list[place]?.reason,
    ),
  "spec forgotten": (before, next) => before.spec !== null && next.spec === null,
  "archive made": (before, next) => settles(before, next) && !next.events.timeline.at(-1)?.reason?.includes("archive"),
  "archive late": (before, next) =>
    settles(before, next) && next.events.timeline.at(-1)?.reason?.includes("not made in time") === true,
  "lease lost to another submit": (_, next) => next.reason === "Its disk was taken",
  "queued again as AWS lacked its machine": (before, next) =>
    before.run.lacks !== undefined && before.phase === "preparing" && next.phase === "queued",
  "active after AWS lacked its machine": (before, next) =>
    before.phase === "preparing" && next.phase === "active" && next.placement.withdrawn?.lacks !== undefined,
  "cancelled at its queue limit as AWS lacked its machine": (before, next) =>
    cancels(before, next) && isOverQueued(next) && next.placement.withdrawn?.lacks !== undefined,
  "waits until its disk is backed up": (before, next) =>
    next.phase === "queued" && before.waitPool === undefined && next.waitPool !== undefined && next.disk !== null,
  "volumes cleared after a first failure": (before, next) =>
    next.end.outcome === null && next.run.error !== null && hasVolumes(before) && !hasVolumes(next),
  "a disk backed up after it was refused": (before, next) =>
    letsGo(before, next) && !saysLast(next, NOT_BACKED_UP) && next.events.timeline.some(isRefused),
  "a disk let go without a backup": (before, next) => letsGo(before, next) && saysLast(next, NOT_BACKED_UP),
  "step failed and was tried again": (before, next) => before.attempts > 0 && next.attempts === 0,
} as const satisfies Record<string, Change<Environment>>;

const ofDisks = {
  "disk handed over": (before, next) => before.next !== null && next.heldBy?.uid === before.next.uid,
  "disk restored from its backup": (before, next) =>
    next.volume !== null && before.volume?.id !== next.volume.id && next.snapshots.some(({ completed }) => completed),
  "idle volume let go": (before, next) => before.idleVolume === undefined && next.idleVolume !== undefined,
  "disk left its zone for a waiting job": (before, next) =>
    next.heldBy !== null && before.idleVolume === undefined && next.idleVolume !== undefined,
  "backup failed after it was recorded": (before, next) => before.lost === undefined && next.lost !== undefined,
  "failed backup made again": (before, next) => before.lost !== undefined && next.lost === undefined,
  "snapshot on demand made": (before, next) => count(next, isOnDemand) > count(before, isOnDemand),
  "undeleted in time": (before, next) => before.phase === "deleted" && next.phase === "available",
  "purge put off while held": (before, next) =>
    before.phase === "deleted" && next.phase === "deleted" && (next.dueAt ?? 0) > (next.purgeAt ?? 0),
  purged: (before, next) => before.phase !== "purged" && next.phase === "purged",
  "backup thinned out": (before, next) => next.phase !== "purged" && next.snapshots.length < before.snapshots.length,
  "disk made of another one's snapshot": (before, next) =>
    before.volume === null && next.volume !== null && next.source !== undefined,
  "removal of a backup claimed": (before, next) => count(next, isClaimed) > count(before, isClaimed),
  "restore let go": (before, next) => (next.restores ?? []).length < (before.restores ?? []).length,
  "deleted disk set aside for a new one": (before, next) =>
    next.phase === "deleted" && next.name !== before.name && isSetAside(next),
  "undeleted after it was set aside": (before, next) =>
    before.phase === "deleted" && next.phase === "available" && isSetAside(next),
  "renamed disk tagged": (before, next) => next.taggedAs !== null && before.name !== next.name,
} as const satisfies Record<string, Change<Disk>>;

const ofItems = {
  "webhook given up": ({ kind, state }) => kind === "delivery" && state === "given_up",
  "webhook delivered at a later try": ({ kind, state, attemptCount }) =>
    kind === "delivery" && state === "delivered" && Number(attemptCount) > 1,
  "chat message delivered": ({ kind, state }) => kind === "message" && state === "delivered",
  "chat message dropped": ({ kind, state }) => kind === "message" && state === "dropped",
  "orphan reported": ({ kind, runCount }) => kind === "orphans" && Number(runCount) > 0,
  "record without its run reported": ({ kind, recordCount }) => kind === "orphans" && Number(recordCount) > 0,
  "user disabled": ({ kind, disabled }) => kind === "user" && disabled === true,
} as const satisfies Record<string, (item: Item) => boolean>;

/** States that the causing code reports. */
const reported = [
  "key rotated",
  "key revoked",
  "exec answered",
  "create repeated under its key",
  "pool closed",
  "a drain planned",
  "a planned drain dropped",
  "pool opened again",
  "table away",
  "queue away",
  "cluster away",
  "volumes away",
  "blobs away",
  "sealer away",
  "githubKeys away",
  "node back after it was NotReady",
  "node joined",
  "a machine made for who waited",
  "a zone without machines for who waited",
  "a listed group without machines for who waited",
  "eight tries in a row without a machine",
  "the end of a block moved",
  "a block that ended early",
  "a block that ended under a run",
  "the end of a block forgotten",
  "the group of a block deleted",
  "a machine of a block that started",
  "one of two machines bound, and the other not",
  "a machine replaced under its name",
  "a machine cordoned",
  "named machines listed",
  "all machines listed after a change",
  "machines listed again after a lost race",
  "a newer record left alone",
  "a volume lost while it was mounted",
  "a volume lost while nobody had it",
  "a backup lost",
  "a snapshot hidden",
  "a snapshot missed once, and then nobody could look",
  "the first volume of a copy lost",
  "a lost machine replaced",
  "a lost machine let go by force",
  "a volume taken by force from a lost machine",
  "the operator said that a machine is gone",
  "wall clock stepped",
  "unreadable record mended",
  "an unreadable record ended by force",
  "what came back after an end removed",
  "an earlier run removed beside a later one",
  "run missed by one look",
  "message given up after its last receive",
  "a signal lost",
  "a signal doubled",
  "a signal late",
] as const;

type State = keyof typeof ofEnvironments | keyof typeof ofDisks | keyof typeof ofItems | (typeof reported)[number];

/** Each must be reached within the schedules of `.ci/run`. */
export const interestingStates = [
  ...Object.keys(ofEnvironments),
  ...Object.keys(ofDisks),
  ...Object.keys(ofItems),
  ...reported,
] as State[];

// Runs at each write, so it is computed once.
const environmentStates = Object.entries(ofEnvironments) as [State, Change<Environment>][];
const diskStates = Object.entries(ofDisks) as [State, Change<Disk>][];
const itemStates = Object.entries(ofItems) as [State, (item: Item) => boolean][];

export function newReached(): Reached {
  const reached = new Set<State>();
  function compare<Record>(table: readonly [State, Change<Record>][], before: Record | undefined, next: Record): void {
    if (before === undefined) return;
    for (const [state, isSo] of table) {
      if (!reached.has(state) && isSo(before, next)) reached.add(state);
    }
  }
  return {
    note: (state) => void reached.add(state),
    wroteEnvironment: (before, next) => compare(environmentStates, before, next),
    wroteDisk: (before, next) => compare(diskStates, before, next),
    wroteItem(item) {
      for (const [state, isSo] of itemStates) {
        if (!reached.has(state) && isSo(item)) reached.add(state);
      }
    },
    all: () => [...reached],
  };
}

function isRequeued(before: Environment, next: Environment, why: string): boolean {
  return before.phase === "stopping" && next.phase === "queued" && before.reason?.startsWith(why) === true;
}

function count({ snapshots }: Disk, isSo: (snapshot: DiskSnapshot) => boolean): number {
  return snapshots.filter(isSo).length;
}

function isOnDemand({ onDemand }: DiskSnapshot): boolean {
  return onDemand === true;
}

function isSetAside({ name, uid }: Disk): boolean {
  return name.endsWith(`-${uid.slice(0, 8)}`);
}

function isClaimed({ removingUntil }: DiskSnapshot): boolean {
  return removingUntil !== undefined;
}

function ends(isSo: (next: Environment) => boolean): Change<Environment> {
  return (before, next) => !isEnded(before) && isSo(next);
}

function fails(cause: ReturnType<typeof failureCause>): Change<Environment> {
  return ({ end: { outcome }, run: { error: broken } }, next) => {
    const reason = outcome === null && next.end.outcome?.phase === "failed" ? next.end.outcome.reason : null;
    return failureCause(reason ?? (broken === null ? next.run.error : null)) === cause;
  };
}

function cancels({ end: { outcome } }: Environment, next: Environment): boolean {
  return outcome === null && next.end.outcome?.phase === "cancelled";
}

function isOverQueued({ end: { outcome } }: Environment): boolean {
  return outcome?.reason?.startsWith("Waited in the queue") === true;
}

function stops(before: Environment, next: Environment): boolean {
  return before.phase !== "stopped" && next.phase === "stopped";
}

function letsGo(before: Environment, next: Environment): boolean {
  return before.disk?.released === false && next.disk?.released === true;
}

function saysLast({ events: { timeline } }: Environment, words: string): boolean {
  return timeline.at(-1)?.reason?.startsWith(words) === true;
}

function isRefused({ reason }: { readonly reason: string | null }): boolean {
  return reason?.startsWith("The backup of its disk was refused") === true;
}

function hasVolumes({ volumes }: Environment): boolean {
  return volumes.some(({ volume }) => volume !== null);
}

function isSilent({ run: { machines } }: Environment): boolean {
  return machines.some(({ silent }) => silent !== null);
}

function settles(before: Environment, next: Environment): boolean {
  return before.end.archive?.settled === false && next.end.archive?.settled === true;
}

function closes(kind: string, status: string): Change<Environment> {
  const count = ({ requests: { list: actions } }: Environment) =>
    actions.filter((action) => action.kind === kind && action.status === status).length;
  return (before, next) => count(next) > count(before);
}
