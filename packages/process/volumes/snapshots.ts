import { join } from "node:path";
import type { Log } from "#core/ports/log.ts";
import type { SnapshotTags, VolumeSnapshot, Volumes } from "#core/ports/volumes.ts";
import { VolumeRefused } from "#core/problem.ts";
import { randomName } from "../files.ts";
import { runsMounting } from "../runs/observation.ts";
import type { ArchivePlaces } from "./archives.ts";
import { describeFailure } from "./copy.ts";
import { requirePlaces } from "./kept-places.ts";
import { forgetListing, keepListing } from "./listing.ts";
import type { Maker } from "./make-volume.ts";
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
import { deleteDirectory, readVolume, volumeData } from "./volume-directory.ts";

export interface SnapshotHost extends Maker {
  readonly archives: ArchivePlaces;
  readonly log: Log | undefined;
  readonly copying: Map<string, { readonly over: Promise<void>; readonly abort: AbortController }>;
}

export function snapshotMethods(host: SnapshotHost) {
  const { home } = host;
  return {
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
      const snapshots = listSnapshotIds(home).flatMap((id) => {
        const found = readSnapshot(home, id);
        return found ? [{ id, key: found.tags.key ?? null, tags: found.tags }] : [];
      });
      return { snapshots };
    },
    findSnapshot: async (id) => {
      requirePlaces(home);
      const found = readSnapshot(home, id);
      return found && shown(found);
    },
    removeSnapshot: (id) => removeSnapshot(host, id),
    tagSnapshot: async (id, tags) => {
      const isThere = await describeFailure(() => writeTags(home, id, tags));
      if (!isThere) throw new VolumeRefused("The snapshot does not exist");
    },
  } satisfies Partial<Volumes>;
}

async function createSnapshot(host: SnapshotHost, volume: string, tags: SnapshotTags): Promise<VolumeSnapshot> {
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

async function copySnapshot(host: SnapshotHost, id: string, { from, to, signal }: SnapshotCopy): Promise<void> {
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

async function removeSnapshot({ home, copying, archives }: SnapshotHost, id: string): Promise<void> {
  if (!isSnapshotId(id)) return;
  const copy = copying.get(id);
  copy?.abort.abort();
  await copy?.over;
  forgetListing(archives, id);
  await deleteDirectory(join(home, "snapshots"), snapshotDirectory(home, id));
}

function shown({ id, at, state, tags }: VolumeSnapshot): VolumeSnapshot {
  return { id, at, state, tags };
}
