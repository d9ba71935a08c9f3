import { type Disk, volumesOf } from "#core/disks/record.ts";
import type { Environment } from "#core/environments/record/record.ts";
import type { VolumeSnapshot, Volumes } from "#core/ports/volumes.ts";
import type { MemoryCompute } from "../../fakes/memory-compute.ts";
import type { MemoryVolumes } from "../../fakes/memory-volumes.ts";
import { follows } from "./follows.ts";

export interface DiskWatch {
  all(): ReadonlyMap<string, Disk>;
  wroteDisk(disk: Disk): void;
  wroteEnvironment(before: Environment | undefined, next: Environment): void;
  watching(volumes: Volumes): Volumes;
  /** Two runs must not mount one volume, because both would write to one file system. */
  checkMounts(): void;
  /** Whether a run has written to the present volume. */
  hasWork(disk: Disk): boolean;
  /** Whether a run may have written, because a worker was about to create one. */
  mayHaveWork(disk: Disk): boolean;
}

const allowed: Readonly<Record<Disk["phase"], readonly Disk["phase"][]>> = {
  creating: ["creating", "available", "deleted", "purged"],
  available: ["available", "deleted", "purged"],
  deleted: ["deleted", "available", "purging"],
  purging: ["purging", "purged"],
  purged: ["purged"],
};

const NOT_BACKED_UP = /could not be backed up/;

const terminal: readonly string[] = ["completed", "expired", "cancelled", "failed", "deleted"];

export function diskWatch(options: {
  readonly compute: MemoryCompute;
  readonly volumes: MemoryVolumes;
  readonly environments: ReadonlyMap<string, Environment>;
  readonly violated: (text: string) => void;
}): DiskWatch {
  const { compute, volumes, environments, violated } = options;
  const { existing, snapshotState } = volumes;
  const unnamed = new Set<string>();
  const disks = new Map<string, Disk>();
  /** Snapshots by the end that they back up. */
  const backups = new Map<string, string[]>();
  const openedVolumes = new Map<string, string>();
  /** Snapshots of each volume since a run last wrote to it, and the one that it was made from. */
  const wholeSnapshots = new Map<string, Set<string>>();
  /** Runs that may begin on a volume, as `<uid>-r<run>`. A withdrawn run never begins. */
  const mayBegin = new Map<string, { uid: string; run: number; volume: string }>();
  /** Runs that a worker was about to create, as `<uid>-r<run>`. */
  const applied = new Set<string>();
  /** Disks that had a volume, except if it went unwritten. Other disks have nothing to back up. */
  const used = new Set<string>();
  /** Tokens from before the first volume. A late call may still create a volume, which is then removed. */
  const tokensOfUnused = new Set<string>();
  /** Environments whose end was judged. A later forced end of an edited record does not open its disk again. */
  const ended = new Set<string>();
  const volumesByToken = new Set<string>();

  /** Each volume and snapshot has a record that names it, by id or by the token of its creation. */
  function checkNamed(): void {
    const all = existing().filter(({ id }) => !unnamed.has(id));
    if (all.length === 0) return;
    const named = new Set<string | undefined>();
    for (const disk of disks.values()) for (const name of namesOfDisk(disk)) named.add(name);
    for (const environment of environments.values()) {
      for (const name of namesOfEnvironment(environment)) named.add(name);
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
    if (!used.has(next.uid)) for (const { token } of next.making) tokensOfUnused.add(token);
    if (next.volume) used.add(next.uid);
    const sharing = [...disks.values()].find(({ uid, volume }) => uid !== next.uid && isSame(volume, next.volume));
    if (sharing) violated(`disks ${sharing.name} and ${next.name} have one volume`);
    if (!before) return;
    if (drops(namesOfDisk(before), namesOfDisk(next))) checkNamed();
    if (!allowed[before.phase].includes(next.phase)) {
      violated(`disk ${next.name} went from ${before.phase} to ${next.phase}`);
    }
    if (!follows(before, next)) violated(`disk ${next.name} was replaced by what is not its successor`);
    const forgets = before.volume && next.volume?.id !== before.volume.id && next.phase !== "purged";
    const isSaved = next.idleVolume?.id === before.volume?.id && (hasEverything(next) || isUnwritten(next));
    if (forgets && isThere(before.volume) && !isSaved) violated(`disk ${next.name} forgot its volume`);
    if (forgets && isSaved && next.idleVolume?.isBlank) used.delete(next.uid);
    const letGo = before.heldBy && before.heldBy.uid !== next.heldBy?.uid ? before.heldBy : undefined;
    const last = letGo && environments.get(letGo.uid)?.events.timeline.at(-1)?.reason;
    if (NOT_BACKED_UP.test(last ?? "") && !next.lost?.gaveUp)
      violated(`disk ${next.name} was let go without a backup and does not say so`);
  }

  /** An environment opens only its own disk, and no disk is open twice. */
  function wroteEnvironment(before: Environment | undefined, next: Environment): void {
    const names = namesOfEnvironment(before ?? next);
    if (drops(names, environments.has(next.uid) ? namesOfEnvironment(next) : [])) checkNamed();
    const { disk } = next;
    if (!disk) return;
    const opens = disk.attached && !before?.disk?.attached;
    if (opens && disks.get(disk.uid)?.heldBy?.uid !== next.uid)
      violated(`${next.id} opened a disk that is not its own`);
    const volume = disks.get(disk.uid)?.volume;
    if (opens && volume) openedVolumes.set(`${next.uid}-r${next.run.n}`, volume.id);
    if (disk.attached && next.run.applyingAt !== null) {
      const name = `${next.uid}-r${next.run.n}`;
      const opened = openedVolumes.get(name);
      if (opened && !applied.has(name)) mayBegin.set(name, { uid: next.uid, run: next.run.n, volume: opened });
      applied.add(name);
    }
    // A worker may release the disk and die before it records that. The compute is gone by then.
    const open = [...environments.values()].filter(
      (environment) =>
        environment.disk?.uid === disk.uid &&
        environment.disk.attached &&
        !environment.disk.released &&
        mayWrite(environment),
    );
    if (open.length > 1) violated(`${open.length} environments have disk ${disk.name} open`);
    const ends = terminal.includes(next.phase) && before !== undefined && !terminal.includes(before.phase);
    if (!ends || ended.has(next.uid)) return;
    ended.add(next.uid);
    if ((disk.attached || compute.hasBegun(next.uid)) && used.has(disk.uid)) checkBackedUp(next);
  }

  function runsWith({ volume }: Disk): string[] {
    return [...openedVolumes].flatMap(([run, id]) => (id === volume?.id ? [run] : []));
  }

  function hasWork(disk: Disk): boolean {
    return runsWith(disk).some((run) => compute.hasBegun(run.replace(/-r\d+$/, "")));
  }

  /** A sleeping worker may create a volume that is no longer needed. */
  function isOpening({ heldBy }: Disk): boolean {
    return environments.get(heldBy?.uid ?? "")?.phase === "preparing";
  }

  /** Notes the runs that began since the last call. Older snapshots lack what they write. */
  function noteBegun(): void {
    for (const [name, { uid, run, volume }] of mayBegin) {
      if (compute.starts(uid, run) === 0) continue;
      mayBegin.delete(name);
      wholeSnapshots.delete(volume);
    }
  }

  /** Reports whether a completed snapshot was made of the idle volume since a run last wrote to it. */
  function hasEverything({ idleVolume, savedIn = "" }: Disk): boolean {
    noteBegun();
    const isWhole = wholeSnapshots.get(idleVolume?.id ?? "")?.has(savedIn) === true;
    return isWhole && snapshotState(savedIn) === "completed";
  }

  /** Reports whether no run could write to the idle volume, and what it was made from is still there. */
  function isUnwritten({ idleVolume, savedIn, snapshots }: Disk): boolean {
    const hasBegun = [...openedVolumes].some(
      ([run, id]) => id === idleVolume?.id && compute.hasBegun(run.replace(/-r\d+$/, "")),
    );
    if (hasBegun) return false;
    if (idleVolume?.isBlank) return snapshots.length === 0;
    return savedIn !== undefined && snapshotState(savedIn) === "completed";
  }

  function isThere(volume: Disk["volume"]): boolean {
    return volume !== null && volumes.volumeIds().includes(volume.id);
  }

  /** Returns snapshots that are completed in EC2, regardless of the record. */
  async function getCompleted(snapshots: Disk["snapshots"]): Promise<VolumeSnapshot[]> {
    const found = await Promise.all(snapshots.map(({ id }) => volumes.findSnapshot(id)));
    return found.filter((snapshot) => snapshot?.state === "completed") as VolumeSnapshot[];
  }

  function mayWrite(environment: Environment): boolean {
    return compute.isLive(environment.uid, environment.run.n) || environment.end.outcome === null;
  }

  /** Each run that could write to a disk leaves a backup, unless the timeline says that there is none. */
  function checkBackedUp(environment: Environment): void {
    // A lost volume cannot be backed up.
    const opened = openedVolumes.get(`${environment.uid}-r${environment.run.n}`);
    if (opened && !volumes.volumeIds().includes(opened)) return;
    const said = (words: RegExp) => environment.events.timeline.some(({ reason }) => words.test(reason ?? ""));
    const made = backups.get(`${environment.uid}-r${environment.run.n}`)?.length ?? 0;
    const isGivenUp = said(NOT_BACKED_UP);
    if (made === 0 && !isGivenUp && !said(/volume is gone/))
      violated(`${environment.id} ended without a backup of its disk`);
    // Three attempts of two hours exceed every schedule, so only failed snapshots use them up.
    if (isGivenUp && made < 3) violated(`${environment.id} let its disk go after ${made} failed backups`);
  }

  return {
    all: () => disks,
    wroteDisk,
    wroteEnvironment,
    hasWork,
    mayHaveWork: (disk) => runsWith(disk).some((run) => applied.has(run)),
    checkMounts() {
      for (const { name, volume } of disks.values()) {
        const runs = volume ? compute.mounting(volume.id).length : 0;
        if (runs > 1) violated(`the volume of disk ${name} is mounted by ${runs} runs`);
      }
    },
    watching: (volumes) => ({
      ...volumes,
      async createVolume(wanted) {
        // An earlier token creates nothing new: EC2 returns its existing volume.
        const disk = [...disks.values()].find(({ making }) => making.some(({ token }) => token === wanted.token));
        const isMade = volumesByToken.has(wanted.token) || tokensOfUnused.has(wanted.token);
        volumesByToken.add(wanted.token);
        const newest = (await getCompleted(disk?.snapshots ?? [])).sort((a, b) => b.at - a.at)[0];
        if (disk && !isMade && wanted.snapshotId === undefined && used.has(disk.uid))
          violated(`disk ${disk.name} was replaced by an empty one`);
        const volume = await volumes.createVolume(wanted);
        if (!isMade && wanted.snapshotId !== undefined) wholeSnapshots.set(volume.id, new Set([wanted.snapshotId]));
        const origin = newest?.id ?? (disk && !hasWork(disk) ? disk.source?.id : undefined);
        if (disk && !isMade && isOpening(disk) && wanted.snapshotId !== origin) {
          violated(`disk ${disk.name} was restored from ${wanted.snapshotId}, and ${origin} is the newest`);
        }
        checkNamed();
        return volume;
      },
      async createSnapshot(volumeId, tags) {
        const mounted = compute.mounting(volumeId).filter(({ uid }) => isLiving(environments.get(uid)));
        const isOnDemand = tags.attempt.startsWith("op-");
        noteBegun();
        if (mounted.length > 0 && !isOnDemand) violated(`a backup was made of volume ${volumeId} while it was in use`);
        const end = tags.attempt.replace(/-\d+$/, "");
        const snapshot = await volumes.createSnapshot(volumeId, tags);
        const whole = wholeSnapshots.get(volumeId) ?? new Set();
        if (mounted.length === 0) wholeSnapshots.set(volumeId, whole.add(snapshot.id));
        const earlier = (backups.get(end) ?? []).map((id) => snapshotState(id));
        if (earlier.some((state) => state && state !== "failed")) violated(`the end of ${end} was backed up twice`);
        backups.set(end, [...(backups.get(end) ?? []), snapshot.id]);
        checkNamed();
        return snapshot;
      },
      async removeVolume(id) {
        const disk = [...disks.values()].find((disk) => disk.volume?.id === id);
        if (disk && disk.phase !== "purging") violated(`volume of disk ${disk.name} was removed while ${disk.phase}`);
        return volumes.removeVolume(id);
      },
      async removeSnapshot(id) {
        const disk = [...disks.values()].find((disk) => disk.snapshots.some((snapshot) => snapshot.id === id));
        const { at = 0, onDemand } = disk?.snapshots.find((snapshot) => snapshot.id === id) ?? {};
        const isKeptWith = (snapshot: Disk["snapshots"][number]) => snapshot.onDemand === onDemand && snapshot.at >= at;
        const others = disk?.snapshots.filter((snapshot) => snapshot.id !== id && isKeptWith(snapshot)) ?? [];
        const left = others.filter((snapshot) => snapshotState(snapshot.id) === "completed").length;
        // Removing a failed or missing snapshot loses nothing.
        const state = (await volumes.findSnapshot(id))?.state ?? "failed";
        if (disk && disk.phase !== "purging" && state !== "failed" && left < (onDemand ? 5 : 3))
          violated(`a backup of disk ${disk.name} was removed too soon`);
        return volumes.removeSnapshot(id);
      },
    }),
  };
}

function isSame(left: Disk["volume"], right: Disk["volume"]): boolean {
  return left !== null && left.id === right?.id;
}

function namesOfDisk(disk: Disk): (string | undefined)[] {
  const { snapshots, making } = disk;
  return [...volumesOf(disk), ...snapshots.map(({ id }) => id), ...making.map(({ token }) => token)];
}

function namesOfEnvironment({ volumes, making }: Environment): (string | undefined)[] {
  return [...volumes.map(({ volume }) => volume?.id), ...making.map(({ token }) => token)];
}

/** Reports whether a name disappeared. Otherwise nothing can have lost its last name. */
function drops(before: readonly (string | undefined)[], after: readonly (string | undefined)[]): boolean {
  return before.some((name) => name !== undefined && !after.includes(name));
}

function isLiving(environment: Environment | undefined): boolean {
  return environment !== undefined && !terminal.includes(environment.phase) && environment.end.outcome === null;
}
