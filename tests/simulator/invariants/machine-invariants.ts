import { type Environment, isEnded } from "#core/environments/record/record.ts";
import type { Compute } from "#core/ports/compute.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import type { MemoryCompute } from "../../fakes/memory-compute.ts";
import type { Reached } from "../reached.ts";

/** Checks machines: only dead machines count as lost, and only lost machines lose runs and volumes by force. */
export interface MachineWatch {
  wroteEnvironment(before: Environment, next: Environment): void;
  watching(compute: Pick<Compute, "remove">): Pick<Compute, "remove">;
  watchingVolumes(volumes: Volumes): Pick<Volumes, "detachVolume">;
}

/** Returns why it ends, or returns to the queue. */
function endReason({ run, end, phase, reason }: Environment): string | null {
  return run.error ?? end.outcome?.reason ?? (phase === "stopping" ? reason : null);
}

export function machineWatch(options: {
  readonly compute: MemoryCompute;
  readonly environments: ReadonlyMap<string, Environment>;
  readonly violated: (text: string) => void;
  readonly reached: Reached;
}): MachineWatch {
  const { compute, environments, violated, reached } = options;

  function hasDeadMachine(environment: Environment | undefined): boolean {
    return environment?.run.machines.some(({ uid }) => compute.isMachineGone(uid)) ?? false;
  }

  /** Notes that a run of a sleeping worker was found after an end or beside a new run. */
  function noteLeftover(environment: Environment, run: number): void {
    if (isEnded(environment)) reached.note("what came back after an end removed");
    else if (run < environment.run.n) reached.note("an earlier run removed beside a later one");
  }

  return {
    wroteEnvironment(before, next) {
      const reason = endReason(next);
      if (endReason(before) === reason || !/^Its machine was (lost|taken back)/.test(reason ?? "")) return;
      if (!hasDeadMachine(next)) violated(`${next.id} lost a machine that is not dead`);
    },
    watching: ({ remove }) => ({
      async remove(uid, run, removal) {
        const seen = await compute.observe(uid, run);
        const environment = environments.get(uid);
        if (seen && environment) noteLeftover(environment, run);
        if (removal.force && seen) {
          // A run that the cluster created again may have no machine yet.
          if (seen.nodes.length > 0 && !seen.nodes.some((node) => compute.isMachineGone(node.uid))) {
            violated(`the run of ${environment?.id} was removed by force from a machine that is not dead`);
          }
          reached.note("a lost machine let go by force");
        }
        return remove(uid, run, removal);
      },
    }),
    watchingVolumes: ({ detachVolume }) => ({
      async detachVolume(id, machine) {
        const isDead = compute.isMachineGone(machine.uid);
        if (!isDead) violated(`volume ${id} was taken by force from ${machine.name}, which is not dead`);
        if (compute.mounting(id).length > 0) reached.note("a volume taken by force from a lost machine");
        return detachVolume(id, machine);
      },
    }),
  };
}
