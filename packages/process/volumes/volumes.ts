import { mkdirSync, realpathSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Log } from "#core/ports/log.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import { VolumeRefused } from "#core/problem.ts";
import { runsMounting } from "../runs/observation.ts";
import { adoptArchives, beginArchive, endArchives, forgetArchive, readArchive } from "./archives.ts";
import { type Copy, findCopy } from "./copy.ts";
import { keepPlaces, requirePlaces } from "./kept-places.ts";
import { listVolumes, makeOnce, volumeSeen } from "./make-volume.ts";
import { failSnapshot, listSnapshotIds, readSnapshot } from "./snapshot-directory.ts";
import { type SnapshotHost, snapshotMethods } from "./snapshots.ts";
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
  const host: SnapshotHost = { home, archives, copy, log, ...work };
  return {
    // Directory listings do not lag.
    listedWithinMs: 0,
    // Files are copied one after the other, so a used volume would give an inconsistent snapshot.
    snapshotsInUse: false,
    ...volumeMethods(host),
    ...snapshotMethods(host),
    ...archiveMethods(host),
    adopt: () => adopt(host),
    shutdown: () => shutdown(host),
  };
}

function volumeMethods(host: SnapshotHost) {
  const { home } = host;
  return {
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
      const volumes = listVolumeIds(home).map((id) => {
        const { key = null, sizeGb } = readVolume(home, id) ?? {};
        return { id, key, sizeGb };
      });
      return { volumes };
    },
    removeVolume: (id) => removeVolume(host, id),
    // A directory needs no detach: the run's end releases it.
    detachVolume: async () => undefined,
  } satisfies Partial<Volumes>;
}

function archiveMethods(host: SnapshotHost) {
  const { archives } = host;
  return {
    startArchive: async (volume, blob) => startArchive(host, volume, blob),
    findArchive: async (blob) => readArchive(archives, blob),
    endArchive: async (blob) => {
      await endArchives(archives, (record) => record.blob === blob);
      forgetArchive(archives, blob);
      return undefined;
    },
  } satisfies Partial<Volumes>;
}

/** The token goes first: a repeat that finds the volume finishes the removal. */
async function removeVolume({ home, archives }: SnapshotHost, id: string): Promise<void> {
  const record = readVolume(home, id);
  if (!record) return;
  if (runsMounting(home, id).length > 0) throw new VolumeRefused("The volume is still in use");
  await endArchives(archives, ({ volume }) => volume === id);
  forgetToken(home, record.token);
  await deleteDirectory(join(home, "volumes"), volumeDirectory(home, id));
}

function startArchive({ home, archives, log, closing }: SnapshotHost, volume: string, blob: string): void {
  if (closing.signal.aborted) throw new Error("The local stack is being stopped");
  if (!readVolume(home, volume)) throw new VolumeRefused("The volume does not exist");
  // A running command could replace directories with links to files of the machine.
  if (runsMounting(home, volume).length > 0) throw new VolumeRefused("The volume is still in use");
  beginArchive({ home, places: archives, volume, directory: volumeData(home, volume), blob, log });
}

async function adopt({ home, archives }: SnapshotHost): Promise<void> {
  adoptArchives(archives);
  await Promise.all(["volumes", "snapshots"].map((parent) => discardRemains(join(home, parent))));
  const failed = listSnapshotIds(home).filter((id) => readSnapshot(home, id)?.state === "failed");
  for (const id of failed) await failSnapshot(home, id);
}

async function shutdown({ archives, making, copying, closing }: SnapshotHost): Promise<void> {
  closing.abort();
  await endArchives(archives);
  for (const { abort } of copying.values()) abort.abort();
  await Promise.allSettled([...making.values(), ...[...copying.values()].map(({ over }) => over)]);
}
