import type { Context } from "../context.ts";
import { parseEnvironment } from "../environments/parse.ts";
import { type Environment, isEnded } from "../environments/record.ts";
import { keyOfText, keyText } from "../keys.ts";
import { readable } from "../readable.ts";
import type { Disk, Holder } from "./record.ts";

/** The records behind a disk's holder and the one after it, as far as they still live. */
export interface Holders {
  readonly current: Environment | undefined;
  readonly following: Environment | undefined;
}

/** What a lease may come to: it has the disk or is next, it may write this, or it must not have it. */
export type Lease =
  | { readonly kind: "has" }
  | { readonly kind: "takes"; readonly disk: Disk }
  | { readonly kind: "gone" }
  | { readonly kind: "inUse"; readonly by: string };

/** Reads who holds a disk: a lease is valid only while its environment lives (design section 3). */
export async function readHolders(
  ctx: Context<"table">,
  disks: readonly Disk[],
): Promise<ReadonlyMap<string, Holders>> {
  const holders = disks.flatMap(({ heldBy, next }) => [heldBy, next]).filter((holder) => holder !== null);
  const keys = [...new Set(holders.map((holder) => holder.key))].map(keyOfText).filter((key) => key !== undefined);
  const items = keys.length > 0 ? await ctx.table.getMany(keys) : [];
  const records = new Map(readable(ctx, items, parseEnvironment).map((record) => [keyText(record), record]));
  const living = (holder: Holder | null): Environment | undefined => {
    const record = holder ? records.get(holder.key) : undefined;
    return record?.uid === holder?.uid && record && !isEnded(record) ? record : undefined;
  };
  return new Map(disks.map(({ uid, heldBy, next }) => [uid, { current: living(heldBy), following: living(next) }]));
}

/** Decides whether this environment may have the disk: at once, or after one that is ending. */
export function decideLease(disk: Disk, holder: Holder, { current, following }: Holders): Lease {
  if (disk.heldBy?.uid === holder.uid) return { kind: "has" };
  if (disk.next?.uid === holder.uid && current) return { kind: "has" };
  if (disk.phase !== "available" && disk.phase !== "creating") return { kind: "gone" };
  if (current && !current.outcome) return { kind: "inUse", by: current.id };
  const other = following && !following.outcome && disk.next?.uid !== holder.uid ? following : undefined;
  if (other) return { kind: "inUse", by: other.id };
  if (current) return { kind: "takes", disk: { ...disk, next: holder } };
  return { kind: "takes", disk: { ...disk, heldBy: holder, next: null } };
}

/** The disk once its holder has let it go: whoever is next has it. */
export function handOver(disk: Disk): Disk {
  return { ...disk, heldBy: disk.next, next: null };
}
