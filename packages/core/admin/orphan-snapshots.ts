import type { Context } from "../context.ts";
import type { OwnedSnapshot } from "../ports/volumes.ts";
import { count, list, number, optional, orNull, shape, type Table, text } from "../store/shape.ts";
import { firstThatFit } from "./listed.ts";
import { findUnowned, UNOWNED_LISTED, type Unowned } from "./unowned.ts";

/** A snapshot whose tags name a record that is missing or does not name the snapshot. */
export interface OrphanSnapshot extends Omit<Unowned, "id"> {
  readonly snapshot: string;
}

/** The snapshots of a report. Absent in reports of earlier versions. */
export interface SnapshotsReport {
  readonly snapshots?: readonly OrphanSnapshot[] | undefined;
  /** The number before the list was cut. */
  readonly snapshotCount?: number | undefined;
}

export const snapshotsReport: Table<SnapshotsReport> = {
  snapshots: optional(
    list(
      shape<OrphanSnapshot>({ snapshot: text, key: orNull(text), why: text, firstSeenAt: number, sightings: count }),
    ),
  ),
  snapshotCount: optional(count),
};

/** Returns the snapshots of the previous report, for use until they are listed. */
export function snapshotsBefore(before: SnapshotsReport | undefined): Required<SnapshotsReport> {
  const { snapshots = [], snapshotCount = 0 } = before ?? {};
  return { snapshots, snapshotCount };
}

/**
 * Compares the existing snapshots with the records. A snapshot without a key is no orphan: its disk's next reconcile
 * may tag it, or its tags were removed. If the listing fails, returns the previous findings.
 */
export async function reportSnapshots(
  ctx: Context<"table" | "volumes">,
  before: SnapshotsReport | undefined,
  now: number,
): Promise<Required<SnapshotsReport>> {
  const noted = snapshotsBefore(before);
  const owned = await listOwned(ctx);
  if (!owned) return noted;
  const pending = owned.filter(({ isPending }) => isPending).length;
  if (pending > 0) ctx.log.info("snapshots pending", { count: pending });
  const named = owned.filter(({ key }) => key !== null);
  const earlier = (noted.snapshots ?? []).map(({ snapshot, ...fields }) => ({ ...fields, id: snapshot }));
  const found = await findUnowned(ctx, named, earlier, now);
  return {
    snapshots: firstThatFit(
      found.map(({ id, ...fields }) => ({ snapshot: id, ...fields })),
      UNOWNED_LISTED,
    ),
    snapshotCount: found.length,
  };
}

/** Returns undefined if the listing fails, for example for lack of a permission. Other comparisons go on. */
async function listOwned(ctx: Context<"volumes">): Promise<readonly OwnedSnapshot[] | undefined> {
  try {
    return await ctx.volumes.listOwnedSnapshots();
  } catch (error) {
    ctx.log.warn("snapshots not listed", { error: String(error) });
    return undefined;
  }
}
