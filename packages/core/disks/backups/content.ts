import type { UserContext } from "../../context.ts";
import type { Disk } from "../record.ts";
import { getDisk } from "../view.ts";

/** What a disk held when it was backed up last. */
export interface DiskContent {
  /** Its files as `ls -R` prints them; null: nobody listed them. */
  readonly listing: string | null;
  /** When that backup was made, ms; null: there is none. */
  readonly at: number | null;
  /** Why its latest backup was not made, though it may be tried again; null: it was, or nothing has refused it yet. */
  readonly problem: string | null;
}

/** Longer ones are cut, with a last line that says so. */
export const MOST_LISTING_BYTES = 1024 * 1024;

/**
 * Names the blob in which the maker of a snapshot may leave the list of its files: UTF-8 text. Names of blobs have no
 * points.
 */
export function listingBlob(snapshotId: string): string {
  return `listings/${snapshotId.replaceAll(".", "-")}`;
}

/** The files of the caller's disk as of its newest completed backup. Throws `notFound`. */
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

/** Reads the newest list. A snapshot on demand of a disk in use has none on a cluster. */
async function readNewest(ctx: UserContext<"blobs">, { snapshots }: Disk) {
  const newest = snapshots.findLast(({ completed }) => completed);
  const bytes = newest && (await ctx.blobs.get(listingBlob(newest.id)));
  if (bytes || !newest?.onDemand) return { newest, bytes };
  const backup = snapshots.findLast(({ completed, onDemand }) => completed && !onDemand);
  return backup ? { newest: backup, bytes: await ctx.blobs.get(listingBlob(backup.id)) } : { newest, bytes };
}
