import type { Context } from "../context.ts";
import type { SnapshotPage } from "../ports/volumes.ts";
import { count, list, number, optional, orNull, shape, type Table, text } from "../store/shape.ts";
import { HOUR_MS } from "../units.ts";
import { firstThatFit } from "./listed.ts";
import { earlierFirst, findUnowned, UNOWNED_LISTED, type Unowned } from "./unowned.ts";

export interface OrphanVolume extends Omit<Unowned, "id"> {
  readonly volume: string;
}

/** The volumes of a report. Absent in reports of earlier versions. */
export interface VolumesReport {
  readonly volumes?: readonly OrphanVolume[] | undefined;
  /** The number before the list was cut. */
  readonly volumeCount?: number | undefined;
  /** The total of the known sizes. */
  readonly volumeGb?: number | undefined;
  /** When they were last listed. Absent if with this report. */
  readonly volumesListedAt?: number | undefined;
  /** GB-hours of volumes without a record, from known sizes. Between two comparisons, the smaller total counts. */
  readonly gbHours?: number | undefined;
}

export const volumesReport: Table<VolumesReport> = {
  volumes: optional(
    list(shape<OrphanVolume>({ volume: text, key: orNull(text), why: text, firstSeenAt: number, sightings: count })),
  ),
  volumeCount: optional(count),
  volumeGb: optional(number),
  volumesListedAt: optional(number),
  gbHours: optional(number),
};

type Before = (VolumesReport & { readonly checkedAt: number }) | undefined;

/** Returns the volumes of the previous report, for use until they are listed. */
export function volumesBefore(before: Before, now: number): Required<VolumesReport> {
  const { volumes = [], volumeCount = 0, volumeGb = 0, gbHours = 0, checkedAt = now } = before ?? {};
  return { volumes, volumeCount, volumeGb, gbHours, volumesListedAt: before?.volumesListedAt ?? checkedAt };
}

/**
 * Compares the existing volumes with the records. If the listing fails, logs it and returns the previous findings: a
 * failed listing does not prove that a volume is gone.
 */
export async function reportVolumes(
  ctx: Context<"table" | "volumes">,
  before: Before,
  now: number,
): Promise<Required<VolumesReport>> {
  const noted = volumesBefore(before, now);
  const owned = await unlessRefused(ctx, "volumes not listed", () => ctx.volumes.listOwned());
  if (!owned) return noted;
  const earlier = (noted.volumes ?? []).map(({ volume, ...fields }) => ({ ...fields, id: volume }));
  const found = await findUnowned(ctx, owned, earlier, now);
  const sizes = new Map(owned.map(({ id, sizeGb = 0 }) => [id, sizeGb]));
  const gb = found.reduce((sum, { id }) => sum + (sizes.get(id) ?? 0), 0);
  const { volumeGb = 0, gbHours = 0, volumesListedAt = now } = noted;
  return {
    volumes: firstThatFit(
      found.map(({ id, ...fields }) => ({ volume: id, ...fields })),
      UNOWNED_LISTED,
    ),
    volumeCount: found.length,
    volumeGb: gb,
    volumesListedAt: undefined,
    gbHours: gbHours + (Math.min(gb, volumeGb) * (now - volumesListedAt)) / HOUR_MS,
  };
}

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

/** A comparison of all snapshots, and its findings so far. */
interface SnapshotPass {
  /** The place in the list at which the next comparison continues. */
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

/** Returns the snapshots of the previous report, for use until they are listed. */
export function snapshotsBefore(before: SnapshotsReport | undefined): Required<SnapshotsReport> {
  const { snapshots = [], snapshotCount = 0, snapshotPass } = before ?? {};
  return { snapshots, snapshotCount, snapshotPass };
}

/** On AWS a page has at most 500 snapshots, and each costs at most one read of its disk. */
const PAGES_AT_ONCE = 10;
/** The function has 50 s (functions/schedules/orphans.ts), and what it found is written at its end. */
const MOST_MS = 15_000;

/**
 * Compares the existing snapshots with the records. After `PAGES_AT_ONCE` pages or `MOST_MS` it leaves the rest to the
 * next comparison, and the report has the previous findings until all are compared. A snapshot without a key is no
 * orphan: its disk's next reconcile may tag it, or its tags were removed. If the listing fails, returns the previous
 * findings. The next comparison continues after the last page that was read. If no page was read, it starts from the
 * first page, because the stored place may have expired.
 */
export async function reportSnapshots(
  ctx: Context<"table" | "volumes">,
  before: SnapshotsReport | undefined,
  now: number,
): Promise<Required<SnapshotsReport>> {
  const noted = snapshotsBefore(before);
  let pass: Pass = noted.snapshotPass ?? { next: undefined, snapshots: [], snapshotCount: 0 };
  const startedAt = ctx.clock.monotonic();
  for (let pages = 0; pages < PAGES_AT_ONCE; pages++) {
    if (pages > 0 && ctx.clock.monotonic() - startedAt > MOST_MS) break;
    const { next } = pass;
    const page = await unlessRefused(ctx, "snapshots not listed", () => ctx.volumes.listOwnedSnapshots(next));
    if (!page) return { ...noted, snapshotPass: pages > 0 ? unfinished(pass) : undefined };
    pass = await addPage(ctx, pass, page, noted.snapshots ?? [], now);
    if (pass.next === undefined) break;
  }
  const rest = unfinished(pass);
  const { snapshots, snapshotCount } = rest ? noted : pass;
  return { snapshots, snapshotCount, snapshotPass: rest };
}

type Pass = Omit<SnapshotPass, "next"> & { readonly next: string | undefined };

function unfinished({ next, ...findings }: Pass): SnapshotPass | undefined {
  return next === undefined ? undefined : { ...findings, next };
}

async function addPage(
  ctx: Context<"table">,
  { snapshots, snapshotCount }: Pass,
  page: SnapshotPage,
  earlier: readonly OrphanSnapshot[],
  now: number,
): Promise<Pass> {
  const pending = page.snapshots.filter(({ isPending }) => isPending).length;
  if (pending > 0) ctx.log.info("snapshots pending", { count: pending });
  const named = page.snapshots.filter(({ key }) => key !== null);
  const seenBefore = earlier.map(({ snapshot, ...fields }) => ({ ...fields, id: snapshot }));
  const found = await findUnowned(ctx, named, seenBefore, now);
  const all = earlierFirst([...snapshots, ...found.map(({ id, ...fields }) => ({ snapshot: id, ...fields }))]);
  return {
    next: page.next,
    snapshots: firstThatFit(all, UNOWNED_LISTED),
    snapshotCount: snapshotCount + found.length,
  };
}

/** Returns undefined if the listing fails, for example for lack of a permission. Other comparisons go on. */
async function unlessRefused<One>(ctx: Context, failure: string, list: () => Promise<One>): Promise<One | undefined> {
  try {
    return await list();
  } catch (error) {
    ctx.log.warn(failure, { error: String(error) });
    return undefined;
  }
}
