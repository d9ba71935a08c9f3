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
  /** Holds `volumes`, `snapshots`, and `runs`, which shows the mounted volumes. */
  readonly home: string;
  /** Directory of the Blobs port; by default `<home>/blobs`. */
  readonly blobs?: string;
  readonly copy?: Copy;
  readonly log?: Log;
}

export interface ProcessVolumes extends Volumes {
  /** Frees what an earlier process left incomplete. Call this once at the start. */
  adopt(): Promise<void>;
  /** Aborts all copies and refuses new ones. Incomplete snapshots and archives have then failed. */
  shutdown(): Promise<void>;
}

interface Host extends Maker {
  readonly archives: ArchivePlaces;
  readonly log: Log | undefined;
  readonly copying: Map<string, { readonly over: Promise<void>; readonly abort: AbortController }>;
}

/**
 * Implements volumes as directories, and snapshots as copies, with reflinks where the file system has them. Snapshots
 * are consistent because mounted volumes are refused, and because runs wait for them
 * (docs/architecture/end-of-life.md).
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
    // Directory listings do not lag.
    listedWithinMs: 0,
    // Files are copied one after the other, so a used volume would give an inconsistent snapshot.
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
    // A directory needs no detach: the run's end releases it.
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
        return found ? [{ id, key: found.tags.key ?? null, tags: found.tags }] : [];
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

/** The token goes first: a repeat that finds the volume finishes the removal. */
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
    // If this fails too, the snapshot stays pending until the next start.
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
  // A running command could replace directories with links to files of the machine.
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

function shown({ id, at, state, tags }: VolumeSnapshot): VolumeSnapshot {
  return { id, at, state, tags };
}
