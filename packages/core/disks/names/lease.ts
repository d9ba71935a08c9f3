import type { Context } from "../../context.ts";
import { mayHaveWritten } from "../../environments/record/disk/disk-use.ts";
import { type Environment, isEnded } from "../../environments/record/record.ts";
import { readByKey } from "../../pools/ledger/read-by-key.ts";
import { keyText } from "../../store/keys.ts";
import type { Disk, Holder } from "../record.ts";

/** A live holder. A holder with an unreadable record counts as live, since its end is unknown. */
export interface LivingHolder {
  readonly id: string;
  readonly isEnding: boolean;
  readonly isAttached: boolean;
}

export interface Holders {
  readonly current: LivingHolder | undefined;
  readonly following: LivingHolder | undefined;
}

/** The decision on a lease: the holder has it or is next, may write it, or must not have it. */
export type Lease =
  | { readonly kind: "has" }
  | { readonly kind: "takes"; readonly disk: Disk }
  | { readonly kind: "gone" }
  | { readonly kind: "inUse"; readonly by: string };

/** Reads the holders of disks: a lease is valid only while its environment lives (docs/architecture/table.md). */
export async function readHolders(
  ctx: Context<"table">,
  disks: readonly Pick<Disk, "uid" | "heldBy" | "next">[],
): Promise<ReadonlyMap<string, Holders>> {
  const holders = disks.flatMap(({ heldBy, next }) => [heldBy, next]).filter((holder) => holder !== null);
  const { records, unreadable } = await readByKey(ctx, [...new Set(holders.map((holder) => holder.key))]);
  const knownEnvironments = new Map(records.map((record) => [keyText(record), record]));
  const living = (holder: Holder | null): LivingHolder | undefined => {
    if (!holder) return undefined;
    if (unreadable.has(holder.key)) return { id: holder.id, isEnding: false, isAttached: true };
    const record = knownEnvironments.get(holder.key);
    return record?.uid === holder.uid && !isEnded(record) ? livingHolder(record) : undefined;
  };
  return new Map(disks.map(({ uid, heldBy, next }) => [uid, { current: living(heldBy), following: living(next) }]));
}

function livingHolder({ id, end: { outcome }, disk }: Environment): LivingHolder {
  return { id, isEnding: outcome !== null, isAttached: disk !== null && mayHaveWritten(disk) };
}

export function decideLease(disk: Disk, holder: Holder, { current, following }: Holders): Lease {
  if (disk.heldBy?.uid === holder.uid) return { kind: "has" };
  if (disk.next?.uid === holder.uid && current) return { kind: "has" };
  if (disk.phase !== "available" && disk.phase !== "creating") return { kind: "gone" };
  if (current && !current.isEnding) return { kind: "inUse", by: current.id };
  const otherHolder = following && !following.isEnding && disk.next?.uid !== holder.uid ? following : undefined;
  if (otherHolder) return { kind: "inUse", by: otherHolder.id };
  if (current) return { kind: "takes", disk: { ...disk, next: holder } };
  // A holder that is gone without giving the disk back may have written to it.
  const savedIn = disk.heldBy ? undefined : disk.savedIn;
  return { kind: "takes", disk: { ...disk, savedIn, restored: undefined, heldBy: holder, next: null } };
}

export function handOver(disk: Disk): Disk {
  return { ...disk, restored: undefined, heldBy: disk.next, next: null };
}
