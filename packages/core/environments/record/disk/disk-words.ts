import type { DiskSnapshot } from "../../../disks/record.ts";
import { utcText } from "../../../text/utc.ts";

/** Says what becomes of files without a disk. `$WORKSPACE` is there all the same. */
export function noDiskWords(noun: string): string {
  return `No disk: files in $WORKSPACE and the home are lost when the ${noun} ends`;
}

/** Why an environment waits that stands in no line yet: `holder` is ending and has the disk still. */
export function waitsForDisk(name: string, holder: string | undefined, pending?: DiskSnapshot): string {
  if (holder !== undefined) return `Waits until ${holder}, which is ending, lets go of disk '${name}'`;
  const since = pending ? `; its snapshot is pending since ${utcText(pending.at)}` : "";
  return `Waits until disk '${name}' is backed up${since}`;
}

/** Why an environment waits whose disk nobody knows anything of. */
export function unreadableDisk(name: string): string {
  return `The record of disk '${name}' cannot be read; waiting until it can be`;
}

/** Why an environment waits that has no such volume yet: `refusal` is what the volume service says. */
export function refusedVolume(volume: string, refusal: string): string {
  return `${refusal}; ${volume} is asked for again`.slice(0, LONGEST_REASON);
}

const LONGEST_REASON = 120;
