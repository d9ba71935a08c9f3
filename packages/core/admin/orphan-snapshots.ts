import type { Context } from "../context.ts";
import type { SnapshotPage } from "../ports/volumes.ts";
import { count, list, number, optional, orNull, shape, type Table, text } from "../store/shape.ts";
import { continuePass, type OwnedPage, type Pass } from "./orphan-pass.ts";
import type { Unowned } from "./unowned.ts";

/** A snapshot whose tags name a record that is missing or does not name the snapshot. */
interface OrphanSnapshot extends Omit<Unowned, "id"> {
  readonly snapshot: string;
}

/** The snapshots of a report. Absent in reports of earlier versions. */
export interface SnapshotsReport {
  readonly snapshots?: readonly OrphanSnapshot[] | undefined;
  /** The number before the list was cut. */
  readonly snapshotCount?: number | undefined;
  /** How far the comparison of all snapshots came, if it takes several. */
  readonly snapshotPass?: SnapshotPass | undefined;
}

interface SnapshotPass {
  readonly next: string;
  readonly snapshots: readonly OrphanSnapshot[];
  readonly snapshotCount: number;
}

const orphanSnapshots = list(
  shape<OrphanSnapshot>({ snapshot: text, key: orNull(text), why: text, firstSeenAt: number, sightings: count }),
);

export const snapshotsReport: Table<SnapshotsReport> = {
  snapshots: optional(orphanSnapshots),
  snapshotCount: optional(count),
  snapshotPass: optional(shape<SnapshotPass>({ next: text, snapshots: orphanSnapshots, snapshotCount: count })),
};

/** Returns the snapshots of the previous report, for use until all are compared. */
export function snapshotsBefore(before: SnapshotsReport | undefined): Required<SnapshotsReport> {
  const { snapshots = [], snapshotCount = 0, snapshotPass } = before ?? {};
  return { snapshots, snapshotCount, snapshotPass };
}

/**
 * Compares the existing snapshots with the records. Until all are compared, and if a listing fails, the report has the
 * previous findings.
 */
export async function reportSnapshots(
  ctx: Context<"table" | "volumes">,
  before: SnapshotsReport | undefined,
  now: number,
): Promise<Required<SnapshotsReport>> {
  const noted = snapshotsBefore(before);
  const { whole, rest } = await continuePass(ctx, readPass(noted.snapshotPass), {
    list: async (after) => toOwned(ctx, await ctx.volumes.listOwnedSnapshots(after)),
    earlier: toUnowned(noted.snapshots ?? []),
    now,
    failure: "snapshots not listed",
  });
  if (!whole) return { ...noted, snapshotPass: storePass(rest) };
  return { snapshots: toSnapshots(whole.found), snapshotCount: whole.count, snapshotPass: undefined };
}

/** Omits snapshots without a key, which are no orphans: the next reconcile of their disk may tag them. */
function toOwned(ctx: Context, { snapshots, next }: SnapshotPage): OwnedPage {
  const pending = snapshots.filter(({ isPending }) => isPending).length;
  if (pending > 0) ctx.log.info("snapshots pending", { count: pending });
  return { owned: snapshots.filter(({ key }) => key !== null), next };
}

function readPass(stored: SnapshotPass | undefined): Pass | undefined {
  return stored && { next: stored.next, found: toUnowned(stored.snapshots), count: stored.snapshotCount, gb: 0 };
}

function storePass(pass: Pass | undefined): SnapshotPass | undefined {
  if (pass?.next === undefined) return undefined;
  return { next: pass.next, snapshots: toSnapshots(pass.found), snapshotCount: pass.count };
}

function toUnowned(snapshots: readonly OrphanSnapshot[]): Unowned[] {
  return snapshots.map(({ snapshot, ...fields }) => ({ ...fields, id: snapshot }));
}

function toSnapshots(found: readonly Unowned[]): OrphanSnapshot[] {
  return found.map(({ id, ...fields }) => ({ snapshot: id, ...fields }));
}
