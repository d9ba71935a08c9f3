import type { Blobs } from "#core/ports/blobs.ts";
import type { Clock } from "#core/ports/clock.ts";
import type { NodeRef } from "#core/ports/compute.ts";
import type { SnapshotTags, Volume, VolumeRef, VolumeSnapshot, Volumes } from "#core/ports/volumes.ts";
import { VolumeRefused } from "#core/problem.ts";
import { LISTED_MS } from "#core/reconciler/pending-creates.ts";
import { type MemoryArchives, memoryArchives } from "./memory-archives.ts";

export interface MemoryVolumes extends Volumes, Pick<MemoryArchives, "failArchives"> {
  /** Makes tagging of this snapshot fail with this text; undefined ends this. */
  refuseTags(snapshotId: string, text: string | undefined): void;
  /** Makes tagging never answer. */
  hangTags(): void;
  /** Makes the next `count` snapshots fail: CreateSnapshot throws and leaves nothing. */
  failSnapshots(count: number): void;
  /** Makes the next `count` snapshots begin normally and then fail, after `afterMs` or instead of completing. */
  failSnapshotsLater(count: number, afterMs?: number): void;
  /** Sets `noBackup` of volumes that are read later. */
  sayNoBackup(why: Volume["noBackup"]): void;
  /** Removes the tags of a snapshot, as with the AWS console. */
  stripTags(snapshotId: string): void;
  /** Deletes a volume, as with the AWS console. */
  loseVolume(id: string): void;
  loseSnapshot(id: string): void;
  /** Hides a snapshot from lists and reads for this time. */
  hideSnapshot(id: string, forMs: number): void;
  /** Returns when it was hidden last, in ms. */
  findHiding(id: string): Hiding | undefined;
  /** Writes into a volume. Later snapshots, and volumes from them, have the same content. */
  write(volumeId: string, content: string): void;
  /** Returns a volume's content, at first "", and the snapshot that it came from. */
  findContent(volumeId: string): { readonly content: string; readonly from: string | undefined } | undefined;
  volumeIds(): string[];
  snapshotIds(): string[];
  /** Returns everything that exists, with the token or attempt that created it. */
  existing(): readonly { readonly id: string; readonly token: string }[];
  /** Returns the state of a snapshot, listed yet or not; undefined if it does not exist. */
  snapshotState(id: string): VolumeSnapshot["state"] | undefined;
  /** Returns the events of volumes in order. */
  history(): readonly VolumeEvent[];
}

interface Hiding {
  readonly from: number;
  readonly until: number;
}

export interface VolumeEvent {
  readonly kind: "created" | "restored" | "removed" | "lost" | "snapshot" | "snapshotRemoved" | "archived";
  readonly volume: string;
  readonly snapshot?: string;
}

type NewVolume = Parameters<Volumes["createVolume"]>[0];

interface MadeVolume extends VolumeRef {
  readonly wanted: NewVolume;
  readonly at: number;
  content: string;
}

interface Snapshot {
  readonly id: string;
  readonly volume: string;
  readonly content: string;
  readonly at: number;
  readonly completesAt: number;
  readonly fails: boolean;
  tags: Partial<SnapshotTags>;
}

/**
 * Volumes in memory. A snapshot is pending for `snapshotMs`, an archive for `archiveMs` and until it is read.
 * `isMounted` reports whether a run has a volume mounted; an archive in progress counts too. Like EC2, this does not
 * list, find or remove anything that is younger than `listedAfterMs`.
 */
export function memoryVolumes(options: {
  readonly clock: Pick<Clock, "now">;
  readonly isMounted: (volumeId: string) => boolean;
  /** Detaches a volume from this machine by force. */
  readonly detach?: (volumeId: string, machine: NodeRef) => void;
  readonly snapshotMs?: number;
  readonly archiveMs?: number;
  readonly listedAfterMs?: number;
  /** `listedAfterMs` of snapshots, if it differs. */
  readonly snapshotListedAfterMs?: number | undefined;
  /** If false, snapshots of mounted volumes are refused. */
  readonly snapshotsInUse?: boolean | undefined;
  /** Store of archives. */
  readonly blobs?: Pick<Blobs, "put">;
}): MemoryVolumes {
  const { clock, isMounted, snapshotMs = 0, archiveMs = 0, listedAfterMs = 0, blobs } = options;
  const { snapshotListedAfterMs = listedAfterMs, snapshotsInUse = true } = options;
  const volumes = new Map<string, MadeVolume>();
  const byToken = new Map<string, string>();
  const snapshots = new Map<string, Snapshot>();
  const refused = new Map<string, string>();
  const history: VolumeEvent[] = [];
  const hidden = new Map<string, Hiding>();
  let tagsHang = false;
  let failures = 0;
  let laterFailures = 0;
  let failAfterMs = snapshotMs;
  let made = 0;
  let noBackup: Volume["noBackup"];

  const archived = (volume: string) => void history.push({ kind: "archived", volume });
  const archives = memoryArchives({ clock, archiveMs, blobs, exists: (id) => volumes.has(id), archived });

  function shown({ id, at, completesAt, fails, tags }: Snapshot): VolumeSnapshot {
    const end = fails ? "failed" : "completed";
    return { id, at, tags: { ...tags }, state: clock.now() >= completesAt ? end : "pending" };
  }

  const isListed = (volume: MadeVolume | undefined) => volume !== undefined && clock.now() >= volume.at + listedAfterMs;
  const isShown = (snapshot: Snapshot | undefined): snapshot is Snapshot =>
    snapshot !== undefined &&
    clock.now() >= snapshot.at + snapshotListedAfterMs &&
    clock.now() >= (hidden.get(snapshot.id)?.until ?? Number.NEGATIVE_INFINITY);
  const toVolume = ({ id, zone }: VolumeRef): Volume => ({
    id,
    zone,
    attached: isMounted(id) || archives.isReading(id),
  });

  return {
    listedWithinMs: LISTED_MS,
    snapshotsInUse,
    async createVolume(wanted) {
      const { token, zone, snapshotId } = wanted;
      const knownVolume = volumes.get(byToken.get(token) ?? "");
      if (knownVolume && !isSame(knownVolume.wanted, wanted)) throw new Error(`IdempotentParameterMismatch: ${token}`);
      if (knownVolume) return { id: knownVolume.id, zone };
      const source = snapshotId === undefined ? undefined : snapshots.get(snapshotId);
      const isHidden = source !== undefined && clock.now() < (hidden.get(source.id)?.until ?? 0);
      if (snapshotId !== undefined && (!source || isHidden || shown(source).state !== "completed")) {
        throw new Error(`There is no completed snapshot ${snapshotId}`);
      }
      const id = `vol-${++made}`;
      volumes.set(id, { id, zone, wanted, at: clock.now(), content: source?.content ?? "" });
      byToken.set(token, id);
      history.push(source ? { kind: "restored", volume: id, snapshot: source.id } : { kind: "created", volume: id });
      return { id, zone };
    },
    async findVolume(id) {
      const volume = volumes.get(id);
      return volume && isListed(volume) ? { ...toVolume(volume), ...(noBackup && { noBackup }) } : undefined;
    },
    listVolumes: async (token) =>
      [...volumes.values()].filter((volume) => volume.wanted.token === token && isListed(volume)).map(toVolume),
    listOwned: async () => ({
      volumes: [...volumes.values()]
        .filter(isListed)
        .map(({ id, wanted: { key, sizeGb } }) => ({ id, key: key ?? null, sizeGb })),
    }),
    async detachVolume(id, machine) {
      options.detach?.(id, machine);
    },
    async removeVolume(id) {
      if (!isListed(volumes.get(id)) || !volumes.delete(id)) return;
      history.push({ kind: "removed", volume: id });
      archives.volumeRemoved(id);
    },
    async createSnapshot(volume, tags) {
      const source = volumes.get(volume);
      if (!source) throw new Error(`Volume ${volume} does not exist`);
      if (!snapshotsInUse && isMounted(volume)) throw new VolumeRefused("The volume is still in use");
      if (failures > 0) {
        failures -= 1;
        throw new VolumeRefused("Snapshot limit exceeded");
      }
      const at = clock.now();
      const fails = laterFailures > 0;
      if (fails) laterFailures -= 1;
      const { content } = source;
      const snapshot = {
        id: `snap-${++made}`,
        volume,
        content,
        at,
        completesAt: at + (fails ? failAfterMs : snapshotMs),
        fails,
        tags: { ...tags },
      };
      snapshots.set(snapshot.id, snapshot);
      history.push({ kind: "snapshot", volume, snapshot: snapshot.id });
      return shown(snapshot);
    },
    listSnapshots: async (volume) =>
      [...snapshots.values()].filter((snapshot) => snapshot.volume === volume && isShown(snapshot)).map(shown),
    listOwnedSnapshots: async () => ({
      snapshots: [...snapshots.values()].filter(isShown).map((snapshot) => {
        const owned = { id: snapshot.id, key: snapshot.tags.key ?? null, tags: { ...snapshot.tags } };
        return shown(snapshot).state === "pending" ? { ...owned, isPending: true as const } : owned;
      }),
    }),
    async findSnapshot(id) {
      const snapshot = snapshots.get(id);
      return isShown(snapshot) ? shown(snapshot) : undefined;
    },
    async removeSnapshot(id) {
      if (!isShown(snapshots.get(id))) return;
      const volume = snapshots.get(id)?.volume ?? "";
      if (snapshots.delete(id)) history.push({ kind: "snapshotRemoved", volume, snapshot: id });
    },
    startArchive: archives.startArchive,
    findArchive: archives.findArchive,
    endArchive: archives.endArchive,
    failArchives: archives.failArchives,
    async tagSnapshot(id, tags) {
      if (tagsHang) await new Promise<never>(() => undefined);
      const snapshot = snapshots.get(id);
      if (refused.has(id)) throw new VolumeRefused(refused.get(id) ?? "");
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
    failSnapshotsLater(count, afterMs = snapshotMs) {
      laterFailures = count;
      failAfterMs = afterMs;
    },
    sayNoBackup(why) {
      noBackup = why;
    },
    stripTags: (id) => void Object.assign(snapshots.get(id) ?? {}, { tags: {} }),
    loseVolume(id) {
      if (volumes.delete(id)) history.push({ kind: "lost", volume: id });
    },
    loseSnapshot: (id) => void snapshots.delete(id),
    hideSnapshot: (id, forMs) => void hidden.set(id, { from: clock.now(), until: clock.now() + forMs }),
    findHiding: (id) => hidden.get(id),
    write: (id, content) => void Object.assign(volumes.get(id) ?? {}, { content }),
    findContent(id) {
      const volume = volumes.get(id);
      return volume && { content: volume.content, from: volume.wanted.snapshotId };
    },
    volumeIds: () => [...volumes.keys()],
    snapshotIds: () => [...snapshots.keys()],
    existing: () => [
      ...[...volumes.values()].map(({ id, wanted }) => ({ id, token: wanted.token })),
      ...[...snapshots.values()].map(({ id, tags }) => ({ id, token: tags.attempt ?? "" })),
    ],
    snapshotState(id) {
      const snapshot = snapshots.get(id);
      return snapshot && shown(snapshot).state;
    },
    history: () => history,
  };
}

function isSame(left: NewVolume, right: NewVolume): boolean {
  return left.zone === right.zone && left.sizeGb === right.sizeGb && left.snapshotId === right.snapshotId;
}
