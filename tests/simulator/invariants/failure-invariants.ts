import type { Disk } from "#core/disks/record.ts";
import type { DiskUse } from "#core/environments/record/disk/disk-use.ts";
import type { Environment } from "#core/environments/record/record.ts";
import type { Compute } from "#core/ports/compute.ts";
import type { MemoryCompute } from "../../fakes/memory-compute.ts";
import type { MemoryVolumes } from "../../fakes/memory-volumes.ts";

/** Checks that environments fail only because of a failure. */
export interface FailureWatch {
  wroteEnvironment(before: Environment, next: Environment): void;
  watching(compute: Pick<Compute, "remove">): Pick<Compute, "remove">;
}

/** Reasons to end an environment whose command still runs. machine-invariants.ts checks lost machines. */
const documented =
  /^Not ready (after|in)|^No machine could start it|^Its machine was (lost|taken back)|^Ended by the operator/;

const NOT_READY = /^Not ready after/;
const MACHINE_NEWS = /^Its machine (\S+ does not answer|answers again)/;
/** Longer than a probe, a step and its write together. */
const READY_BY_MS = 120_000;

const CAME_LATE = /^Its machine came while/;

const DISK_LOST = /^Disk '.*' is lost: its volume is gone/;

const SOURCE_LOST = /^Disk '.*' is lost: the snapshot that it starts from is gone/;

export function failureWatch(options: {
  readonly compute: MemoryCompute;
  readonly volumes: Pick<MemoryVolumes, "history" | "snapshotState">;
  readonly environments: ReadonlyMap<string, Environment>;
  readonly disks: ReadonlyMap<string, Disk>;
  readonly violated: (text: string) => void;
  readonly now: () => number;
  /** Whether the disk's source exists and was not hidden for long. */
  readonly isSourceSeen: (disk: Disk) => boolean;
}): FailureWatch {
  const { compute, volumes, environments, disks, violated, now, isSourceSeen } = options;

  /**
   * Reports whether a command ran long enough to be ready. An outage or a silent machine is no reason to end it. A
   * machine that returns restarts its probe.
   */
  function wasReady({ uid, run: { n: run }, events }: Environment): boolean {
    const news = events.timeline.findLast(({ reason }) => MACHINE_NEWS.test(reason ?? ""));
    if (news && now() - news.at <= READY_BY_MS) return false;
    const happened = compute.history().filter((event) => event.uid === uid && event.run === run);
    const started = happened.find(({ kind }) => kind === "started");
    const isOver = happened.some(({ kind }) => kind === "ended" || kind === "gone");
    return started !== undefined && !isOver && now() - started.at > READY_BY_MS;
  }

  function isLost({ uid }: DiskUse): boolean {
    const { volume, snapshots = [] } = disks.get(uid) ?? {};
    const wasTaken = volumes.history().some((event) => event.kind === "lost" && event.volume === volume?.id);
    return wasTaken && !snapshots.some(({ id }) => volumes.snapshotState(id) === "completed");
  }

  function isSourceLost({ uid }: DiskUse): boolean {
    const disk = disks.get(uid);
    return disk?.source !== undefined && !isSourceSeen(disk);
  }

  return {
    wroteEnvironment(before, next) {
      const reason = findFailure(before, next);
      if (reason === undefined) return;
      if (NOT_READY.test(reason) && wasReady(before))
        violated(`${next.id} was ready and ended as not ready: ${reason}`);
      if (documented.test(reason)) return;
      if (DISK_LOST.test(reason) && before.disk && isLost(before.disk)) return;
      if (SOURCE_LOST.test(reason) && before.disk && isSourceLost(before.disk)) return;
      const {
        uid,
        run: { n: run },
      } = before;
      const happened = compute.history().filter((event) => event.uid === uid && event.run === run);
      if (happened.some(({ kind }) => kind === "ended" || kind === "gone")) return;
      // A run that is bound to some of its machines has not begun.
      if (CAME_LATE.test(reason) && happened.some(({ kind }) => kind === "bound")) return;
      violated(`${next.id} failed, and nothing of it had failed: ${reason}`);
    },
    watching: ({ remove }) => ({
      async remove(uid, run, removal) {
        const environment = environments.get(uid);
        const hasTombstones = await remove(uid, run, removal);
        if (environment?.run.n === run && isWanted(environment)) {
          violated(`the run of ${environment.id} was removed while it was ${environment.phase}`);
        }
        return hasTombstones;
      },
    }),
  };
}

function findFailure(before: Environment, next: Environment): string | undefined {
  if (before.end.outcome === null && next.end.outcome?.phase === "failed") return next.end.outcome.reason ?? "";
  return before.run.error === null && next.run.error !== null ? next.run.error : undefined;
}

function isWanted({
  phase,
  end: { outcome },
  run: { error: broken, withdrawing },
  goal: { desired },
}: Environment): boolean {
  const isUp = phase === "active" || (phase === "preparing" && !withdrawing);
  return isUp && outcome === null && broken === null && desired === "active";
}
