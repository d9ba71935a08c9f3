import type { DiskSnapshot } from "../../../disks/record.ts";
import { utcText } from "../../../text/utc.ts";

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
