import type { Context } from "../context.ts";
import type { OwnedSnapshot } from "../ports/volumes.ts";
import { count, listOf, number, optional, orNull, shape, type Table, text } from "../store/shape.ts";
import { firstThatFit } from "./listed.ts";
import { findUnowned, UNOWNED_LISTED, type Unowned } from "./unowned.ts";

/** A snapshot whose tags name a record that is not there, or does not name it. */
export interface OrphanSnapshot extends Omit<Unowned, "id"> {
  readonly snapshot: string;
}

/** Absent in a report from before snapshots were compared. */
export interface SnapshotsReport {
  readonly snapshots?: readonly OrphanSnapshot[] | undefined;
  /** How many there were before the list was cut. */
  readonly snapshotCount?: number | undefined;
}

export const snapshotsReport: Table<SnapshotsReport> = {
  snapshots: optional(
    listOf(
      shape<OrphanSnapshot>({ snapshot: text, key: orNull(text), why: text, firstSeenAt: number, sightings: count }),
    ),
  ),
  snapshotCount: optional(count),
};

/** What the report before says, for one in which the snapshots are not listed yet. */
export function snapshotsBefore(before: SnapshotsReport | undefined): Required<SnapshotsReport> {
  const { snapshots = [], snapshotCount = 0 } = before ?? {};
  return { snapshots, snapshotCount };
}

/**
 * Compares the snapshots that there are with the records. One that names none is no orphan: its disk's next look may not
 * have tagged it yet, or somebody took its tags off. Those of the report before where they are not listed.
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
  const known = (noted.snapshots ?? []).map(({ snapshot, ...one }) => ({ ...one, id: snapshot }));
  const found = await findUnowned(ctx, named, known, now);
  return {
    snapshots: firstThatFit(
      found.map(({ id, ...one }) => ({ snapshot: id, ...one })),
      UNOWNED_LISTED,
    ),
    snapshotCount: found.length,
  };
}

/** A right to list them that is missing keeps nothing else from being compared. */
async function listOwned(ctx: Context<"volumes">): Promise<readonly OwnedSnapshot[] | undefined> {
  try {
    return await ctx.volumes.listOwnedSnapshots();
  } catch (error) {
    ctx.log.warn("snapshots not listed", { error: String(error) });
    return undefined;
  }
}
