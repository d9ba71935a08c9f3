import type { Archive, Blobs, Clock, SnapshotTags, VolumeRef, VolumeSnapshot, Volumes } from "#core/context.ts";
import { VolumeRefused } from "#core/problem.ts";

export interface MemoryVolumes extends Volumes {
  /** Refuses, in these words, to tag this snapshot; undefined: tags it again. */
  refuseTags(snapshotId: string, text: string | undefined): void;
  /** Tagging never answers again. */
  hangTags(): void;
  /** The next so many snapshots fail: CreateSnapshot throws and leaves nothing. */
  failSnapshots(count: number): void;
  /** The next so many archives that are begun fail. */
  failArchives(count: number): void;
  /** The next so many snapshots begin as others do, and have failed when they should be completed. */
  failSnapshotsLater(count: number): void;
  /** Takes the tags off a snapshot, as somebody with a console might. */
  stripTags(snapshotId: string): void;
  volumeIds(): string[];
  snapshotIds(): string[];
  /** What happened to volumes, in order. */
  history(): readonly VolumeEvent[];
}

export interface VolumeEvent {
  readonly kind: "created" | "restored" | "removed" | "snapshot" | "snapshotRemoved" | "archived";
  readonly volume: string;
  readonly snapshot?: string;
}

interface Snapshot {
  readonly id: string;
  readonly volume: string;
  readonly at: number;
  readonly completesAt: number;
  readonly fails: boolean;
  tags: Partial<SnapshotTags>;
}

/** A zip of nothing (APPNOTE 4.3.16). */
const emptyZip = Uint8Array.from([0x50, 0x4b, 5, 6, ...new Uint8Array(18)]);

/**
 * Volumes in memory. A snapshot is pending for `snapshotMs`, an archive for `archiveMs` and until it is looked at;
 * `isMounted` says whether a volume is in use.
 */
export function memoryVolumes(options: {
  readonly clock: Pick<Clock, "now">;
  readonly isMounted: (volumeId: string) => boolean;
  readonly snapshotMs?: number;
  readonly archiveMs?: number;
  /** Where archives go. */
  readonly blobs?: Pick<Blobs, "put">;
}): MemoryVolumes {
  const { clock, isMounted, snapshotMs = 0, archiveMs = 0, blobs } = options;
  const archives = new Map<string, { readonly volume: string; completesAt: number; state: Archive["state"] }>();
  const volumes = new Map<string, VolumeRef>();
  const byToken = new Map<string, string>();
  const snapshots = new Map<string, Snapshot>();
  const refused = new Map<string, string>();
  const history: VolumeEvent[] = [];
  let tagsHang = false;
  let failures = 0;
  let archiveFailures = 0;
  let laterFailures = 0;
  let made = 0;

  function shown({ id, at, completesAt, fails, tags }: Snapshot): VolumeSnapshot {
    const end = fails ? "failed" : "completed";
    return { id, at, tags: { ...tags }, state: clock.now() >= completesAt ? end : "pending" };
  }

  return {
    async createVolume({ token, zone, snapshotId }) {
      const known = volumes.get(byToken.get(token) ?? "");
      if (known) return known;
      if (snapshotId !== undefined && !snapshots.has(snapshotId)) throw new Error(`No snapshot ${snapshotId}`);
      const volume = { id: `vol-${++made}`, zone };
      volumes.set(volume.id, volume);
      byToken.set(token, volume.id);
      const from = snapshotId === undefined ? {} : { snapshot: snapshotId };
      history.push({ kind: snapshotId === undefined ? "created" : "restored", volume: volume.id, ...from });
      return volume;
    },
    async findVolume(id) {
      const volume = volumes.get(id);
      return volume && { ...volume, attached: isMounted(id) };
    },
    async removeVolume(id) {
      if (!volumes.delete(id)) return;
      history.push({ kind: "removed", volume: id });
      // What is not whole by now never will be.
      for (const one of archives.values()) {
        if (one.volume === id && one.state === "pending" && clock.now() < one.completesAt) one.state = "failed";
      }
    },
    async createSnapshot(volume, tags) {
      if (!volumes.has(volume)) throw new Error(`No volume ${volume}`);
      if (failures > 0) {
        failures -= 1;
        throw new VolumeRefused("Snapshot limit exceeded");
      }
      const at = clock.now();
      const fails = laterFailures > 0;
      if (fails) laterFailures -= 1;
      const snapshot = { id: `snap-${++made}`, volume, at, completesAt: at + snapshotMs, fails, tags: { ...tags } };
      snapshots.set(snapshot.id, snapshot);
      history.push({ kind: "snapshot", volume, snapshot: snapshot.id });
      return shown(snapshot);
    },
    listSnapshots: async (volume) => [...snapshots.values()].filter((one) => one.volume === volume).map(shown),
    async findSnapshot(id) {
      const snapshot = snapshots.get(id);
      return snapshot && shown(snapshot);
    },
    async removeSnapshot(id) {
      const volume = snapshots.get(id)?.volume ?? "";
      if (snapshots.delete(id)) history.push({ kind: "snapshotRemoved", volume, snapshot: id });
    },
    async startArchive(volume, blob) {
      if (!isBlobName(blob)) throw new Error("Not the name of a blob");
      if (!volumes.has(volume)) throw new VolumeRefused("The volume does not exist");
      if (archives.has(blob)) return;
      const state = archiveFailures > 0 ? "failed" : "pending";
      archiveFailures = Math.max(0, archiveFailures - 1);
      archives.set(blob, { volume, completesAt: clock.now() + archiveMs, state });
    },
    async findArchive(blob) {
      const archive = archives.get(blob);
      if (archive?.state === "pending" && clock.now() >= archive.completesAt) {
        archive.state = "completed";
        history.push({ kind: "archived", volume: archive.volume });
        await blobs?.put(blob, emptyZip);
      }
      return archive && { state: archive.state, bytes: archive.state === "completed" ? emptyZip.length : 0 };
    },
    async tagSnapshot(id, tags) {
      if (tagsHang) await new Promise<never>(() => undefined);
      const text = refused.get(id);
      const snapshot = snapshots.get(id);
      if (text !== undefined) throw new VolumeRefused(text);
      if (!snapshot) throw new VolumeRefused("The snapshot does not exist");
      snapshot.tags = { ...snapshot.tags, ...tags };
    },
    refuseTags(id, text) {
      if (text === undefined) refused.delete(id);
      else refused.set(id, text);
    },
    hangTags() {
      tagsHang = true;
    },
    failSnapshots(count) {
      failures = count;
    },
    failArchives(count) {
      archiveFailures = count;
    },
    failSnapshotsLater(count) {
      laterFailures = count;
    },
    stripTags(id) {
      const snapshot = snapshots.get(id);
      if (snapshot) snapshot.tags = {};
    },
    volumeIds: () => [...volumes.keys()],
    snapshotIds: () => [...snapshots.keys()],
    history: () => history,
  };
}

function isBlobName(name: string): boolean {
  return /^[a-z0-9][a-z0-9-]*(\/[a-z0-9][a-z0-9-]*)*$/.test(name);
}
