import type { VolumeRef } from "../../../ports/volumes.ts";

/** The named disk of an environment. */
export interface DiskUse {
  readonly uid: string;
  /** What it was called when the environment was made. */
  readonly name: string;
  /** The submit itself wrote the lease and then this: nobody who read the disk before can call it lost any more. */
  readonly leased: boolean;
  /** Set before a run is made with its volume: from then on its end is backed up. */
  readonly attached: boolean;
  /** The lease was given back. */
  readonly released: boolean;
  /** A run that was given back before this one may have written to it: its end is backed up whatever this one does. */
  readonly written?: true | undefined;
}

/** Whether a run of it may have written to its disk, which is let go only with a backup of that. */
export function mayHaveWritten(use: DiskUse): boolean {
  return use.attached || use.written === true;
}

/** A volume of an environment's own: it lives until the environment is deleted. */
export interface OwnVolume {
  /** Unique in its environment: `workspace`, `home`. */
  readonly name: string;
  /** Where it is seen: `/workspace`. */
  readonly path: string;
  readonly sizeGb: number;
  readonly volume: VolumeRef | null;
}
