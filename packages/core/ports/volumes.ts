import type { NodeRef } from "./compute.ts";

export interface VolumeRef {
  readonly id: string;
  /** A volume is in one zone and pins what uses it to it; empty where no zone is known: then it pins nothing. */
  readonly zone: string;
}

export interface Volume extends VolumeRef {
  /** Whether some machine still has it mounted. */
  readonly attached: boolean;
  /**
   * Why no snapshot of it is to be made: its provider makes none, or nothing was ever written to it but what it was made
   * of. Only `findVolume` says so; missing: one is to be made.
   */
  readonly noBackup?: "impossible" | "unneeded" | undefined;
}

/** What exists outside, and the record that it was made for. */
export interface Owned {
  readonly id: string;
  /** The record's key in a message; null: nothing says it. */
  readonly key: string | null;
}

export interface OwnedVolume extends Owned {
  /** What is paid for; absent: a listing does not tell. */
  readonly sizeGb?: number | undefined;
}

export interface OwnedSnapshot extends Owned {
  /** It is still being made. Absent: it is not, or a listing does not tell. */
  readonly isPending?: true;
}

/** What is written on a snapshot for people; nothing is decided by it but which attempt made it. */
export interface SnapshotTags {
  /** The disk's name. */
  readonly name: string;
  /** The disk's uid. */
  readonly disk: string;
  /** The claim under which it was made. */
  readonly attempt: string;
  /** The key in a message of the disk's record; missing: it was tagged before there was this tag, or by others. */
  readonly key?: string | undefined;
}

export interface VolumeSnapshot {
  readonly id: string;
  readonly state: "pending" | "completed" | "failed";
  /** The point in time it holds, ms. */
  readonly at: number;
  readonly tags: Partial<SnapshotTags>;
}

/** Volumes and their snapshots: EBS, or directories on a laptop. What was just made may be listed and found late. */
export interface Volumes {
  /** What was made is listed and found by its id so much later at the latest, ms. */
  readonly listedWithinMs: number;
  /**
   * Whether a snapshot holds its volume as of the call that makes it, whatever writes to the volume meanwhile. If not,
   * `createSnapshot` refuses a mounted volume, and no run may mount the volume before the snapshot is completed.
   */
  readonly snapshotsInUse: boolean;
  /**
   * Empty, or restored from a completed snapshot. Repeated with the same token it answers the same volume; it throws
   * when the token is used with another zone, size or snapshot, as EC2 does, and `VolumeRefused` where certainly nothing
   * was made.
   */
  createVolume(wanted: {
    readonly token: string;
    readonly sizeGb: number;
    readonly zone: string;
    readonly snapshotId: string | undefined;
    /** The key in a message of the record that it is made for, which it carries. */
    readonly key?: string;
  }): Promise<VolumeRef>;
  findVolume(id: string): Promise<Volume | undefined>;
  /** The volumes that were made with this token and still exist. */
  listVolumes(token: string): Promise<Volume[]>;
  /** Every volume of this deployment, with the record that it was made for; throws rather than answer with a part. */
  listOwned(): Promise<OwnedVolume[]>;
  /** Nothing happens when it is gone. */
  removeVolume(id: string): Promise<void>;
  /**
   * Takes it off this machine by force, whatever that does: only from a lost one. Nothing happens when it is attached to
   * another machine, or to none.
   */
  detachVolume(id: string, machine: NodeRef): Promise<void>;
  /**
   * Not repeatable: each call may make another one (CreateSnapshot takes no token), so it is claimed first, and each
   * claim has an `attempt` of its own. Throws `VolumeRefused` where certainly none was made: a limit, throttling.
   * Anything else leaves that open. Where the adapter can, it leaves a list of its files in Blobs (disks/content.ts).
   */
  createSnapshot(volumeId: string, tags: SnapshotTags): Promise<VolumeSnapshot>;
  /** Every snapshot of this volume that was made through here, whatever became of its tags. */
  listSnapshots(volumeId: string): Promise<VolumeSnapshot[]>;
  /** Every snapshot of this deployment, with its disk's record as its tags say it; throws rather than answer with a part. */
  listOwnedSnapshots(): Promise<OwnedSnapshot[]>;
  findSnapshot(id: string): Promise<VolumeSnapshot | undefined>;
  /** Nothing happens when it is gone. */
  removeSnapshot(id: string): Promise<void>;
  /** Throws `VolumeRefused` with words for the user when this snapshot cannot be tagged. */
  tagSnapshot(id: string, tags: Pick<SnapshotTags, "name" | "disk" | "key">): Promise<void>;
  /**
   * Begins to put a zip of all its files under this name into Blobs; nothing happens when that was begun before, or is
   * there already.
   */
  startArchive(volumeId: string, blob: string, owner: ArchiveOwner): Promise<void>;
  /**
   * How far that has come: completed where Blobs has it, whatever is left of its making; undefined: never begun, or
   * ended.
   */
  findArchive(blob: string): Promise<Archive | undefined>;
  /**
   * Ends the making of it, where that still goes on, and takes away all that it needed; a zip that is whole stays. May be
   * repeated, also of one that was never begun. A volume may be held for a moment afterwards: as long as it is, or where
   * its machine is lost, this is called again. Answers the machine that holds it and does not answer, until that is gone.
   */
  endArchive(blob: string, owner: ArchiveOwner): Promise<NodeRef | undefined>;
}

/** The record for which an archive is made: by it is found what is left of one that nobody ended. */
export interface ArchiveOwner {
  readonly uid: string;
  /** In a message. */
  readonly key: string;
}

export interface Archive {
  readonly state: "pending" | "completed" | "failed";
  /** The size of the zip, once it is completed. */
  readonly bytes: number;
}
