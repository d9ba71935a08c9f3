import type { Volumes } from "#core/context.ts";
import type { Disk } from "#core/disks/record.ts";
import type { Environment } from "#core/environments/record.ts";
import type { MemoryCompute } from "../memory-compute.ts";
import type { MemoryVolumes } from "../memory-volumes.ts";
import { follows } from "./follows.ts";

/** The part of the watch that knows disks, volumes and backups. */
export interface DiskWatch {
  all(): ReadonlyMap<string, Disk>;
  wroteDisk(disk: Disk): void;
  wroteEnvironment(before: Environment | undefined, next: Environment): void;
  watching(volumes: Volumes): Volumes;
  /** No volume is mounted by two runs, whoever of them lives: that would write into one file system twice. */
  checkMounts(): void;
}

const allowed: Readonly<Record<Disk["phase"], readonly Disk["phase"][]>> = {
  creating: ["creating", "available", "deleted", "purged"],
  available: ["available", "deleted", "purged"],
  deleted: ["deleted", "available", "purging"],
  purging: ["purging", "purged"],
  purged: ["purged"],
};

const terminal: readonly string[] = ["completed", "expired", "cancelled", "failed", "deleted"];

export function diskWatch(options: {
  readonly compute: MemoryCompute;
  readonly existing: MemoryVolumes["existing"];
  readonly environments: ReadonlyMap<string, Environment>;
  readonly violated: (text: string) => void;
}): DiskWatch {
  const { compute, existing, environments, violated } = options;
  const disks = new Map<string, Disk>();
  const unnamed = new Set<string>();
  const backups = new Set<string>();

  /** Every volume and snapshot is named by a record at every moment: by its id, or as something that may be made. */
  function checkNamed(): void {
    const all = existing().filter(({ id }) => !unnamed.has(id));
    if (all.length === 0) return;
    const named = new Set<string | undefined>();
    for (const { volume, snapshots, making } of disks.values()) {
      for (const name of [volume?.id, ...snapshots.map(({ id }) => id), ...making.map(({ token }) => token)]) {
        named.add(name);
      }
    }
    for (const { volumes, making } of environments.values()) {
      for (const name of [...volumes.map(({ volume }) => volume?.id), ...making.map(({ token }) => token)]) {
        named.add(name);
      }
    }
    for (const { id, token } of all) {
      if (named.has(id) || named.has(token)) continue;
      unnamed.add(id);
      violated(`no record names ${id}, made under ${token}`);
    }
  }

  function wroteDisk(next: Disk): void {
    const before = disks.get(next.uid);
    disks.set(next.uid, next);
    checkNamed();
    if (!before) return;
    if (!allowed[before.phase].includes(next.phase)) {
      violated(`disk ${next.name} went from ${before.phase} to ${next.phase}`);
    }
    if (!follows(before, next)) violated(`disk ${next.name} was replaced by what is not its successor`);
    const lost = before.volume && next.volume?.id !== before.volume.id && next.phase !== "purged";
    if (lost) violated(`disk ${next.name} forgot its volume`);
  }

  /** Nobody opens a disk that is not its own, and no disk is open twice. */
  function wroteEnvironment(before: Environment | undefined, next: Environment): void {
    if (next.volumes.length > 0) checkNamed();
    const { disk } = next;
    if (!disk) return;
    const opens = disk.attached && !before?.disk?.attached;
    if (opens && disks.get(disk.uid)?.heldBy?.uid !== next.uid)
      violated(`${next.id} opened a disk that is not its own`);
    // Who has let it go and died before it wrote so has no compute any more.
    const open = [...environments.values()].filter(
      (one) => one.disk?.uid === disk.uid && one.disk.attached && !one.disk.released && mayWrite(one),
    );
    if (open.length > 1) violated(`${open.length} environments have disk ${disk.name} open`);
    const ends = terminal.includes(next.phase) && before !== undefined && !terminal.includes(before.phase);
    if (ends && disk.attached) checkBackedUp(next);
  }

  function mayWrite(environment: Environment): boolean {
    return compute.isLive(environment.uid, environment.run) || environment.outcome === null;
  }

  /** Everything that could write to a disk leaves a backup, unless it was said that there is none. */
  function checkBackedUp(environment: Environment): void {
    const said = environment.timeline.some((entry) => entry.reason?.includes("could not be backed up"));
    if (!said && !backups.has(`${environment.uid}-r${environment.run}`)) {
      violated(`${environment.id} ended without a backup of its disk`);
    }
  }

  return {
    all: () => disks,
    wroteDisk,
    wroteEnvironment,
    checkMounts() {
      for (const { name, volume } of disks.values()) {
        const runs = volume ? compute.mounting(volume.id).length : 0;
        if (runs > 1) violated(`the volume of disk ${name} is mounted by ${runs} runs`);
      }
    },
    watching: (volumes) => ({
      ...volumes,
      async createVolume(wanted) {
        const volume = await volumes.createVolume(wanted);
        checkNamed();
        return volume;
      },
      async createSnapshot(volumeId, tags) {
        const mounted = compute.mounting(volumeId).filter(({ uid }) => isLiving(environments.get(uid)));
        if (mounted.length > 0) violated(`a backup was made of volume ${volumeId} while it was in use`);
        const end = tags.attempt.replace(/-\d+$/, "");
        const snapshot = await volumes.createSnapshot(volumeId, tags);
        if (backups.has(end)) violated(`the end of ${end} was backed up twice`);
        backups.add(end);
        checkNamed();
        return snapshot;
      },
      async removeVolume(id) {
        const disk = [...disks.values()].find((one) => one.volume?.id === id);
        if (disk && disk.phase !== "purging") violated(`volume of disk ${disk.name} was removed while ${disk.phase}`);
        return volumes.removeVolume(id);
      },
      async removeSnapshot(id) {
        const disk = [...disks.values()].find((one) => one.snapshots.some((snapshot) => snapshot.id === id));
        const at = disk?.snapshots.find((snapshot) => snapshot.id === id)?.at ?? 0;
        const others = disk?.snapshots.filter((snapshot) => snapshot.id !== id && snapshot.at >= at) ?? [];
        const states = await Promise.all(others.map(async (one) => (await volumes.findSnapshot(one.id))?.state));
        const left = states.filter((state) => state === "completed").length;
        const hasFailed = (await volumes.findSnapshot(id))?.state === "failed";
        if (disk && disk.phase !== "purging" && !hasFailed && left < 3)
          violated(`a backup of disk ${disk.name} was removed too soon`);
        return volumes.removeSnapshot(id);
      },
    }),
  };
}

function isLiving(environment: Environment | undefined): boolean {
  return environment !== undefined && !terminal.includes(environment.phase) && environment.outcome === null;
}
