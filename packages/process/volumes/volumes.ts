import { mkdirSync, realpathSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Log } from "#core/ports/log.ts";
import type { SnapshotTags, VolumeSnapshot, Volumes } from "#core/ports/volumes.ts";
import { VolumeRefused } from "#core/problem.ts";
import { runsMounting } from "../runs/mounts.ts";
import { randomName } from "../runs/random-name.ts";
import { type ArchivePlaces, forgetArchive, readArchive } from "./archive-directory.ts";
import { adoptArchives, beginArchive, endArchives } from "./archives.ts";
import { type Copy, describeFailure, findCopy } from "./copy.ts";
import { keepPlaces, requirePlaces } from "./kept-places.ts";
import { forgetListing, keepListing } from "./listing.ts";
import { listVolumes, type Maker, makeOnce, volumeSeen } from "./make-volume.ts";
import {
  beginSnapshot,
  completeSnapshot,
  failSnapshot,
  isSnapshotId,
  listSnapshotIds,
  readSnapshot,
  snapshotDirectory,
  writeTags,
} from "./snapshot-directory.ts";
import {
  deleteDirectory,
  discardRemains,
  forgetToken,
  listVolumeIds,
  readVolume,
  volumeData,
  volumeDirectory,
} from "./volume-directory.ts";

export interface ProcessVolumesOptions {
  /** Volumes live in `<home>/volumes`, snapshots in `<home>/snapshots`, and `<home>/runs` says who mounts what. */
  readonly home: string;
  /** The directory of Blobs, where archives go; `<home>/blobs` when not given. */
  readonly blobs?: string;
  /** Found out by trying when not given. */
  readonly copy?: Copy;
  readonly log?: Log;
}

export interface ProcessVolumes extends Volumes {
  /** To be called once at start: frees the space of what an earlier process left half made or half removed. */
  adopt(): Promise<void>;
  /** Ends every copy; a snapshot or archive that was not whole by then has failed. Nothing begins afterwards. */
  shutdown(): Promise<void>;
}

interface Host extends Maker {
  readonly archives: ArchivePlaces;
  readonly log: Log | undefined;
  /** Snapshots that are being copied. */
  readonly copying: Map<string, { readonly over: Promise<void>; readonly abort: AbortController }>;
}

/**
 * Volumes as directories of this machine and snapshots as real copies of them, by reflink where the file system can.
 * A volume's size is recorded and not enforced. A snapshot is its point in time because a volume that is mounted is
 * refused, and because nobody mounts one before its snapshot is completed (docs/architecture/end-of-life.md).
 */
export function processVolumes(options: ProcessVolumesOptions): ProcessVolumes {
  const { home: givenHome, copy = findCopy(), log } = options;
  keepPlaces(resolve(givenHome));
  for (const part of ["runs", "volumes/.tokens"]) {
    mkdirSync(join(resolve(givenHome), part), { recursive: true, mode: 0o700 });
  }
  const home = realpathSync(resolve(givenHome));
  const archives = { blobs: resolve(options.blobs ?? join(home, "blobs")), records: join(home, "archives") };
  const work = { making: new Map(), copying: new Map(), closing: new AbortController() };
  const host: Host = { home, archives, copy, log, ...work };
  return {
    // Both are directories.
    listedWithinMs: 0,
    // The files are copied one after the other.
    snapshotsInUse: false,
    createVolume: async (wanted) => {
      requirePlaces(home);
      return makeOnce(host, wanted);
    },
    findVolume: async (id) => {
      requirePlaces(home);
      const record = readVolume(home, id);
      return record && volumeSeen(home, id, record);
    },
    listVolumes: async (token) => {
      requirePlaces(home);
      return listVolumes(host, token);
    },
    listOwned: async () => {
      requirePlaces(home);
      return listVolumeIds(home).map((id) => {
        const { key = null, sizeGb } = readVolume(home, id) ?? {};
        return { id, key, sizeGb };
      });
    },
    removeVolume: (id) => removeVolume(host, id),
    // The machine is this one: a directory is let go of when the run's processes are gone.
    detachVolume: async () => undefined,
    createSnapshot: async (volume, tags) => createSnapshot(host, volume, tags),
    listSnapshots: async (volume) => {
      requirePlaces(home);
      return listSnapshotIds(home).flatMap((id) => {
        const found = readSnapshot(home, id);
        return found?.volume === volume ? [shown(found)] : [];
      });
    },
    listOwnedSnapshots: async () => {
      requirePlaces(home);
      return listSnapshotIds(home).flatMap((id) => {
        const found = readSnapshot(home, id);
        return found ? [{ id, key: found.tags.key ?? null }] : [];
      });
    },
    findSnapshot: async (id) => {
      requirePlaces(home);
      const found = readSnapshot(home, id);
      return found && shown(found);
    },
    removeSnapshot: (id) => removeSnapshot(host, id),
    startArchive: async (volume, blob) => startArchive(host, volume, blob),
    findArchive: async (blob) => readArchive(archives, blob),
    endArchive: async (blob) => {
      await endArchives(archives, (record) => record.blob === blob);
      forgetArchive(archives, blob);
      return undefined;
    },
    tagSnapshot: async (id, tags) => {
      const isThere = await describeFailure(() => writeTags(home, id, tags));
      if (!isThere) throw new VolumeRefused("The snapshot does not exist");
    },
    adopt: () => adopt(host),
    shutdown: () => shutdown(host),
  };
}

/** The token first: a repeat that finds the volume still there finishes what this one began. */
async function removeVolume({ home, archives }: Host, id: string): Promise<void> {
  const record = readVolume(home, id);
  if (!record) return;
  if (runsMounting(home, id).length > 0) throw new VolumeRefused("The volume is still in use");
  await endArchives(archives, ({ volume }) => volume === id);
  forgetToken(home, record.token);
  await deleteDirectory(join(home, "volumes"), volumeDirectory(home, id));
}

async function createSnapshot(host: Host, volume: string, tags: SnapshotTags): Promise<VolumeSnapshot> {
  const { home, closing } = host;
  if (closing.signal.aborted) throw new Error("The local stack is being stopped");
  requirePlaces(home);
  if (!readVolume(home, volume)) throw new VolumeRefused("The volume does not exist");
  if (runsMounting(home, volume).length > 0) throw new VolumeRefused("The volume is still in use");
  const id = `snap-${randomName()}`;
  const at = Date.now();
  const to = await describeFailure(() => beginSnapshot(home, id, volume, tags, at));
  closing.signal.throwIfAborted();
  const abort = new AbortController();
  const over = copySnapshot(host, id, { from: volumeData(home, volume), to, signal: abort.signal });
  host.copying.set(id, { over, abort });
  return { id, at, state: "pending", tags: { ...tags } };
}

interface SnapshotCopy {
  readonly from: string;
  readonly to: string;
  readonly signal: AbortSignal;
}

/** What became of a copy is what its directory says. */
async function copySnapshot(host: Host, id: string, { from, to, signal }: SnapshotCopy): Promise<void> {
  const { home, copy, log, copying, archives } = host;
  try {
    await copy(from, to, signal);
    signal.throwIfAborted();
    await keepListing(archives, id, to).catch((error: unknown) => {
      log?.warn("snapshot not listed", { snapshot: id, error: String(error) });
    });
    await completeSnapshot(snapshotDirectory(home, id));
  } catch (error) {
    log?.warn("snapshot not copied", { snapshot: id, error: String(error) });
    // Where not even that can be done it stays pending, and the next start gives it up.
    await failSnapshot(home, id).catch((reason) => {
      log?.warn("snapshot not given up", { snapshot: id, error: String(reason) });
    });
  } finally {
    copying.delete(id);
  }
}

async function removeSnapshot({ home, copying, archives }: Host, id: string): Promise<void> {
  if (!isSnapshotId(id)) return;
  const copy = copying.get(id);
  copy?.abort.abort();
  await copy?.over;
  forgetListing(archives, id);
  await deleteDirectory(join(home, "snapshots"), snapshotDirectory(home, id));
}

function startArchive({ home, archives, log, closing }: Host, volume: string, blob: string): void {
  if (closing.signal.aborted) throw new Error("The local stack is being stopped");
  if (!readVolume(home, volume)) throw new VolumeRefused("The volume does not exist");
  // Whoever changes directories into links meanwhile would have the machine's own files put into it.
  if (runsMounting(home, volume).length > 0) throw new VolumeRefused("The volume is still in use");
  beginArchive({ home, places: archives, volume, directory: volumeData(home, volume), blob, log });
}

async function adopt({ home, archives }: Host): Promise<void> {
  adoptArchives(archives);
  await Promise.all(["volumes", "snapshots"].map((parent) => discardRemains(join(home, parent))));
  const failed = listSnapshotIds(home).filter((id) => readSnapshot(home, id)?.state === "failed");
  for (const id of failed) await failSnapshot(home, id);
}

async function shutdown({ archives, making, copying, closing }: Host): Promise<void> {
  closing.abort();
  await endArchives(archives);
  for (const { abort } of copying.values()) abort.abort();
  await Promise.allSettled([...making.values(), ...[...copying.values()].map(({ over }) => over)]);
}

/** Without what only this adapter knows. */
function shown({ id, at, state, tags }: VolumeSnapshot): VolumeSnapshot {
  return { id, at, state, tags };
}
