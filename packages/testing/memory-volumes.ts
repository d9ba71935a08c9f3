import type { Clock, SnapshotTags, VolumeRef, VolumeSnapshot, Volumes } from "#core/context.ts";
import { VolumeRefused } from "#core/problem.ts";

export interface MemoryVolumes extends Volumes {
  /** Refuses, in these words, to tag this snapshot; undefined: tags it again. */
  refuseTags(snapshotId: string, text: string | undefined): void;
  /** Tagging never answers again. */
  hangTags(): void;
  /** The next so many snapshots fail: CreateSnapshot throws and leaves nothing. */
  failSnapshots(count: number): void;
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
  readonly kind: "created" | "restored" | "removed" | "snapshot" | "snapshotRemoved";
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

/** Volumes in memory. A snapshot is pending for `snapshotMs`; `isMounted` says whether a volume is in use. */
export function memoryVolumes(options: {
  readonly clock: Pick<Clock, "now">;
  readonly isMounted: (volumeId: string) => boolean;
  readonly snapshotMs?: number;
}): MemoryVolumes {
  const { clock, isMounted, snapshotMs = 0 } = options;
  const volumes = new Map<string, VolumeRef>();
  const byToken = new Map<string, string>();
  const snapshots = new Map<string, Snapshot>();
  const refused = new Map<string, string>();
  const history: VolumeEvent[] = [];
  let tagsHang = false;
  let failures = 0;
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
      if (volumes.delete(id)) history.push({ kind: "removed", volume: id });
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
