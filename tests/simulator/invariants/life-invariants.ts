import { idleWarningMs } from "#core/environments/record/changes/idle.ts";
import type { Environment } from "#core/environments/record/record.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import type { MemoryCompute } from "../../fakes/memory-compute.ts";
import type { MemoryVolumes } from "../../fakes/memory-volumes.ts";

/** A use of an environment whose request was answered. */
export interface AnsweredUse {
  readonly uid: string;
  readonly kind: "beat" | "exec";
  readonly at: number;
  readonly until: number;
}

/** Checks restartable environments and their own volumes. */
export interface LifeWatch {
  wroteEnvironment(before: Environment | undefined, next: Environment): void;
  watching(volumes: Volumes): Pick<Volumes, "createVolume" | "removeVolume" | "endArchive">;
  answered(use: AnsweredUse): void;
  /** Calls back at each observation of a run and each creation of a volume, before the worker writes. */
  whenChecked(call: (environment: Environment) => void): void;
  noteCheck(uid: string): void;
  /** Returns what is wrong when nothing is due any more. */
  final(volumes: Pick<MemoryVolumes, "volumeIds" | "history">): string[];
}

/** Time after a start, including faults and late sweeps. */
const FOUND_MS = 5 * 60_000;
/** Time for which a deletion waits for its archive. */
const ARCHIVED_MS = 60_000;
/** Smaller changes of an activity mark are not written. */
const MOVES_MS = 60_000;
const ends: readonly string[] = ["completed", "expired", "cancelled", "failed", "deleted"];

export function lifeWatch(options: {
  readonly compute: MemoryCompute;
  readonly environments: ReadonlyMap<string, Environment>;
  readonly violated: (text: string) => void;
  readonly now: () => number;
  readonly clocksMs: () => number;
}): LifeWatch {
  const { compute, environments, violated, now, clocksMs } = options;
  const uses = new Map<string, AnsweredUse[]>();
  const callers: ((environment: Environment) => void)[] = [];
  const owners = new Map<string, string>();

  function wroteEnvironment(before: Environment | undefined, next: Environment): void {
    if (!next.policy.restarts && next.phase === "stopped") violated(`${next.id} is stopped and cannot be started`);
    checkLeftovers(next);
    if (!before) return;
    if (next.run.n < before.run.n) violated(`${next.id} went back to run ${next.run.n}`);
    const isNewRun = before.phase === "stopped" && next.phase === "queued";
    if (isNewRun && next.run.n !== before.run.n + 1) violated(`${next.id} started again as run ${next.run.n}`);
    for (const { name, volume } of before.volumes) {
      const after = next.volumes.find((ownVolume) => ownVolume.name === name)?.volume;
      if (volume && after?.id !== volume.id && !mayGo(next)) violated(`${next.id} forgot its volume ${name}`);
    }
    const stops = before.phase === "active" && next.phase === "stopping" && next.reason === "auto-stop";
    if (stops) checkUnused(before);
    if (stops) checkWarned(before, next);
    checkNotWarnedAtWork(before, next);
    checkWarnedOnce(before, next);
  }

  /** Users get a warning before an auto-stop, with its full time. */
  function checkWarned({ id, policy, use: { idle } }: Environment, next: Environment): void {
    if (!policy.idle || next.use.idle?.signal === "gpus") return;
    const warnedMs = now() - (idle?.warnedAt ?? Number.POSITIVE_INFINITY);
    if (!(warnedMs >= idleWarningMs(policy.idle.afterMs) - clocksMs())) violated(`${id} stopped without a warning`);
  }

  /** An environment gets no warning of an auto-stop during an exec. */
  function checkNotWarnedAtWork({ use: before }: Environment, { id, use: { idle } }: Environment): void {
    const isWarned = idle?.warnedAt !== undefined && idle.warnedAt !== before.idle?.warnedAt;
    const isBusy = before.busyUntil !== null && before.busyUntil > now() + clocksMs();
    if (isWarned && isBusy && idle.signal !== "gpus") violated(`${id} was warned of an auto-stop during an exec`);
  }

  function checkWarnedOnce({ times: before }: Environment, { id, times, events }: Environment): void {
    const isSameEnd = before.warnedMinutes !== null && before.warnedOf === times.warnedOf;
    const isRepeated = isSameEnd && times.warnedMinutes !== null && times.warnedMinutes > before.warnedMinutes;
    if (isRepeated) violated(`${id} was warned of one end again, at entry ${events.count}`);
    if (times.warnedMinutes !== null && times.endsAt === null) violated(`${id} was warned of no end`);
  }

  /** Two reconciles with a sweep between them suffice to find a run that a sleeping worker created. */
  function checkLeftovers({ id, uid, run: { n: run }, phase, policy, queuedAt }: Environment): void {
    const isJudged = policy.restarts && run > 1 && phase === "active" && now() - queuedAt > FOUND_MS;
    if (isJudged && compute.isLive(uid, run - 1)) violated(`run ${run - 1} of ${id} lives beside run ${run}`);
  }

  /** Checks that no answered exec or heartbeat forbids this auto-stop. */
  function checkUnused(before: Environment): void {
    const {
      id,
      uid,
      policy,
      run: { startedAt },
    } = before;
    for (const { kind, at, until } of uses.get(uid) ?? []) {
      // An exec ends with its run.
      if (at - clocksMs() < (startedAt ?? 0)) continue;
      const keeps = kind === "exec" ? until - MOVES_MS : until - MOVES_MS + (policy.idle?.afterMs ?? 0);
      if (keeps > now() + clocksMs()) violated(`${id} was stopped as idle in spite of its ${kind}`);
    }
    if ((before.use.busyUntil ?? 0) > now() + clocksMs()) violated(`${id} was stopped as idle while an exec runs`);
    const used = (before.use.lastUsedAt ?? 0) + (policy.idle?.afterMs ?? 0);
    if (used > now() + clocksMs()) violated(`${id} was stopped as idle right after it was used`);
  }

  function noteCheck(uid: string): void {
    const environment = environments.get(uid);
    if (environment) for (const call of callers) call(environment);
  }

  return {
    wroteEnvironment,
    watching: (volumes) => ({
      async createVolume(wanted) {
        const volume = await volumes.createVolume(wanted);
        const uid = wanted.token.slice(0, 32);
        if (environments.has(uid)) owners.set(volume.id, uid);
        noteCheck(uid);
        return volume;
      },
      async removeVolume(id) {
        const owner = environments.get(owners.get(id) ?? "");
        const isIts = owner?.volumes.some(({ volume }) => volume?.id === id);
        if (owner && isIts && !mayGo(owner)) violated(`a volume of ${owner.id} was removed while it is ${owner.phase}`);
        const volume = owner && (await volumes.findVolume(id));
        if (volume?.attached) violated(`a volume of ${owner?.id} was removed under its run`);
        return volumes.removeVolume(id);
      },
      async endArchive(blob, by) {
        const { id, end } = environments.get(by.uid) ?? {};
        const since = end?.archive?.startedAt ?? now();
        const isWanted = end?.archive?.blob === blob && now() - since < ARCHIVED_MS - clocksMs();
        const isCut = isWanted && (await volumes.findArchive(blob))?.state === "pending";
        if (isCut) violated(`the archive of ${id} was cut short before its minute was over`);
        return volumes.endArchive(blob, by);
      },
    }),
    whenChecked: (call) => void callers.push(call),
    noteCheck,
    answered: (use) => void uses.set(use.uid, [...(uses.get(use.uid) ?? []), use]),
    final: (memory) => {
      const volumeIds = memory.volumeIds();
      // A volume that failed was not lost by its environment.
      const failed = memory.history().flatMap(({ kind, volume }) => (kind === "lost" ? [volume] : []));
      const there = new Set([...volumeIds, ...failed]);
      const left = volumeIds.filter((id) => ends.includes(environments.get(owners.get(id) ?? "")?.phase ?? ""));
      const lost = [...environments.values()].filter(
        ({ phase, volumes }) => phase === "stopped" && volumes.some(({ volume }) => volume && !there.has(volume.id)),
      );
      return [
        ...left.map((id) => `volume ${id} outlived ${environments.get(owners.get(id) ?? "")?.id}`),
        ...lost.map(({ id }) => `${id} is stopped and has lost a volume`),
      ];
    },
  };
}

/** Reports whether volumes may go: by a deletion, or after a failed first run whose policy keeps nothing. */
function mayGo({
  end: { outcome },
  run: { error: broken },
  policy,
  starts,
  times: { firstActiveAt },
}: Environment): boolean {
  const isCleared = policy.firstFailure === "clears" && starts === 0 && firstActiveAt === null;
  return outcome !== null || (broken !== null && isCleared);
}
