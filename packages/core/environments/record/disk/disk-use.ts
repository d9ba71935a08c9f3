import type { DiskSnapshot } from "../../../disks/record.ts";
import type { VolumeRef } from "../../../ports/volumes.ts";
import { utcText } from "../../../text/utc.ts";

export interface DiskUse {
  readonly uid: string;
  /** Name of the disk at the time of the create. */
  readonly name: string;
  /** Set once the lease is written. From then on, no reader of an older disk record may call it lost. */
  readonly leased: boolean;
  /** Set before a run is made with the volume. From then on, the end is backed up. */
  readonly attached: boolean;
  readonly released: boolean;
  /** Set if a withdrawn earlier run may have written to the disk, so that the end is backed up in any case. */
  readonly written?: true | undefined;
}

/** Reports whether a run may have written to the disk. Such a disk is released only after a backup. */
export function mayHaveWritten(use: DiskUse): boolean {
  return use.attached || use.written === true;
}

/** A volume that lives as long as its environment. */
export interface OwnVolume {
  readonly name: string;
  readonly path: string;
  readonly sizeGb: number;
  readonly volume: VolumeRef | null;
}

/** Reports whether all files of an environment are lost when it ends. */
export function hasNoDisk(kept: { readonly disk: DiskUse | null; readonly volumes: readonly OwnVolume[] }): boolean {
  return kept.disk === null && kept.volumes.length === 0;
}

export function noDiskMessage(noun: string): string {
  return `No disk: files in $WORKSPACE and the home are lost when the ${noun} ends`;
}

export function waitsForDisk(name: string, holder: string | undefined, pending?: DiskSnapshot): string {
  if (holder !== undefined) return `Waits until ${holder}, which is ending, releases disk '${name}'`;
  const since = pending ? `; its snapshot has been pending since ${utcText(pending.at)}` : "";
  return `Waits until disk '${name}' is backed up${since}`;
}

export function unreadableDisk(name: string): string {
  return `The record of disk '${name}' cannot be read; waiting`;
}

export function refusedVolume(volume: string, refusal: string): string {
  return `${refusal}; ${volume} is requested again`.slice(0, LONGEST_REASON);
}

const LONGEST_REASON = 120;
