import type { UserContext } from "../../context.ts";
import type { Disk } from "../record.ts";
import { getDisk } from "../view.ts";

export interface DiskContent {
  readonly listing: string | null;
  readonly at: number | null;
  readonly problem: string | null;
}

export const MOST_LISTING_BYTES = 1024 * 1024;

export function listingBlob(snapshotId: string): string {
  return `listings/${snapshotId.replaceAll(".", "-")}`;
}

export async function readContent(ctx: UserContext<"table" | "blobs">, name: string): Promise<DiskContent> {
  const { disk } = await getDisk(ctx, name);
  const { newest, bytes } = await readNewest(ctx, disk);
  const problem = disk.lost?.gaveUp ?? disk.lost?.refused ?? null;
  if (!newest) return { listing: null, at: null, problem };
  return {
    listing: bytes ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) : null,
    at: newest.at,
    problem,
  };
}

/** Reads the newest list. On a cluster, an on-demand snapshot of a disk in use has none. */
async function readNewest(ctx: UserContext<"blobs">, { snapshots }: Disk) {
  const newest = snapshots.findLast(({ completed }) => completed);
  const bytes = newest && (await ctx.blobs.get(listingBlob(newest.id)));
  if (bytes || !newest?.onDemand) return { newest, bytes };
  const backup = snapshots.findLast(({ completed, onDemand }) => completed && !onDemand);
  return backup ? { newest: backup, bytes: await ctx.blobs.get(listingBlob(backup.id)) } : { newest, bytes };
}
