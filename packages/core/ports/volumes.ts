import type { NodeRef } from "./compute.ts";

export interface VolumeRef {
  readonly id: string;
  /** The zone of the volume, which binds its runs to that zone. Empty if unknown, which binds nothing. */
  readonly zone: string;
}

export interface Volume extends VolumeRef {
  readonly attached: boolean;
  /** Set by `findVolume` if no snapshot is needed: the provider supports none, or nothing was written. */
  readonly noBackup?: "impossible" | "unneeded" | undefined;
}

export interface Owned {
  readonly id: string;
  /** The record's key in the form that messages use, or null if unknown. */
  readonly key: string | null;
}

export interface OwnedVolume extends Owned {
  /** The paid size. Absent if a listing does not contain it. */
  readonly sizeGb?: number | undefined;
}

export interface VolumePage {
  readonly volumes: readonly OwnedVolume[];
  /** Absent on the last page. */
  readonly next?: string | undefined;
}

export interface OwnedSnapshot extends Owned {
  readonly tags: Partial<SnapshotTags>;
  /** True while it is being created. Absent otherwise, or if a listing does not contain it. */
  readonly isPending?: true;
}

export interface SnapshotPage {
  readonly snapshots: readonly OwnedSnapshot[];
  /** Absent on the last page. */
  readonly next?: string | undefined;
}

/** Tags of a snapshot. Only `attempt` is used for decisions. */
export interface SnapshotTags {
  readonly name: string;
  readonly disk: string;
  /** The claim under which it was created. */
  readonly attempt: string;
  /** The key of the disk's record in the form that messages use. Absent on old and foreign snapshots. */
  readonly key?: string | undefined;
}

export interface VolumeSnapshot {
  readonly id: string;
  readonly state: "pending" | "completed" | "failed";
  /** The point in time of its data, ms. */
  readonly at: number;
  readonly tags: Partial<SnapshotTags>;
}

/** Volumes and snapshots: EBS, or directories on a laptop. New ones may be listed and found late. */
export interface Volumes {
  /** The longest time until a new resource is listed and found by its id, ms. */
  readonly listedWithinMs: number;
  /**
   * True if a snapshot holds the data as of the call, regardless of later writes. If false, `createSnapshot` refuses a
   * mounted volume, and no run may mount the volume before the snapshot is completed.
   */
  readonly snapshotsInUse: boolean;
  /**
   * Creates an empty volume, or one from a completed snapshot. Idempotent by token. Throws if the token was used with
   * another zone, size or snapshot, as EC2 does, and `VolumeRefused` if certainly nothing was created.
   */
  createVolume(wanted: {
    readonly token: string;
    readonly sizeGb: number;
    readonly zone: string;
    readonly snapshotId: string | undefined;
    /** The key of the record that it is created for, in the form that messages use. Stored as a tag. */
    readonly key?: string;
  }): Promise<VolumeRef>;
  findVolume(id: string): Promise<Volume | undefined>;
  listVolumes(token: string): Promise<Volume[]>;
  /**
   * Lists this deployment's volumes page by page, with their record's key: first without `after`, then with the page
   * before's `next`, which may expire. Throws rather than leave one out.
   */
  listOwned(after?: string): Promise<VolumePage>;
  /** Does nothing if the volume is gone. */
  removeVolume(id: string): Promise<void>;
  /** Detaches by force, only for a lost machine. Does nothing if the volume is attached elsewhere or nowhere. */
  detachVolume(id: string, machine: NodeRef): Promise<void>;
  /**
   * Creates a snapshot. Not idempotent, because CreateSnapshot takes no token, so claim it first with a new `attempt`.
   * Throws `VolumeRefused` if certainly none was created (a limit, throttling). Other errors leave that open. If the
   * adapter can, it stores a list of the files in Blobs (disks/content.ts).
   */
  createSnapshot(volumeId: string, tags: SnapshotTags): Promise<VolumeSnapshot>;
  /** Lists every snapshot of this volume made through this port, regardless of its tags. */
  listSnapshots(volumeId: string): Promise<VolumeSnapshot[]>;
  /**
   * Lists this deployment's snapshots page by page, with their tags and their disk's key: first without `after`, then
   * with the page before's `next`, which may expire. Throws rather than leave one out.
   */
  listOwnedSnapshots(after?: string): Promise<SnapshotPage>;
  findSnapshot(id: string): Promise<VolumeSnapshot | undefined>;
  /** Does nothing if the snapshot is gone. */
  removeSnapshot(id: string): Promise<void>;
  /** Throws `VolumeRefused` with a text for the user if this snapshot cannot be tagged. */
  tagSnapshot(id: string, tags: Pick<SnapshotTags, "name" | "disk" | "key">): Promise<void>;
  /** Starts to write a zip of all its files under this name to Blobs. Does nothing if it was started or exists. */
  startArchive(volumeId: string, blob: string, owner: ArchiveOwner): Promise<void>;
  /** Returns the archive's state: completed if Blobs has it, undefined if it was never started or was ended. */
  findArchive(blob: string): Promise<Archive | undefined>;
  /**
   * Stops the archive if it still runs and deletes its resources, but keeps a complete zip. Idempotent, even for an
   * archive that was never started. The volume may stay held for a moment: call this again while it is, or while its
   * machine is lost. Returns the unresponsive machine that holds the volume, until that machine is gone.
   */
  endArchive(blob: string, owner: ArchiveOwner): Promise<NodeRef | undefined>;
}

/** The record for which an archive is made. It identifies the leftovers of an archive that was never ended. */
export interface ArchiveOwner {
  readonly uid: string;
  readonly key: string;
}

export interface Archive {
  readonly state: "pending" | "completed" | "failed";
  readonly bytes: number;
}
