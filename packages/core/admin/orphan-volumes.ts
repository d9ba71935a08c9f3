import type { Context } from "../context.ts";
import type { OwnedVolume } from "../ports/volumes.ts";
import { count, listOf, number, optional, orNull, shape, type Table, text } from "../store/shape.ts";
import { HOUR_MS } from "../units.ts";
import { firstThatFit } from "./listed.ts";
import { findUnowned, UNOWNED_LISTED, type Unowned } from "./unowned.ts";

/** A volume that no record names. */
export interface OrphanVolume extends Omit<Unowned, "id"> {
  readonly volume: string;
}

/** Absent in a report from before volumes were compared. */
export interface VolumesReport {
  readonly volumes?: readonly OrphanVolume[] | undefined;
  /** How many there were before the list was cut. */
  readonly volumeCount?: number | undefined;
  /** The sizes of all of them together, as far as they are known. */
  readonly volumeGb?: number | undefined;
  /** When they were listed last; absent: with this report. */
  readonly volumesListedAt?: number | undefined;
  /**
   * What volumes without a record have taken since they were first counted, as far as their sizes are known: between two
   * comparisons as much as both of them found.
   */
  readonly gbHours?: number | undefined;
}

export const volumesReport: Table<VolumesReport> = {
  volumes: optional(
    listOf(shape<OrphanVolume>({ volume: text, key: orNull(text), why: text, firstSeenAt: number, sightings: count })),
  ),
  volumeCount: optional(count),
  volumeGb: optional(number),
  volumesListedAt: optional(number),
  gbHours: optional(number),
};

/** A report before, and when it was made. */
type Before = (VolumesReport & { readonly checkedAt: number }) | undefined;

/** What the report before says, for one in which the volumes are not listed yet. */
export function volumesBefore(before: Before, now: number): Required<VolumesReport> {
  const { volumes = [], volumeCount = 0, volumeGb = 0, gbHours = 0, checkedAt = now } = before ?? {};
  return { volumes, volumeCount, volumeGb, gbHours, volumesListedAt: before?.volumesListedAt ?? checkedAt };
}

/**
 * Compares the volumes that there are with the records. Those of the report before where they are not listed, which the
 * log says: none of them is gone by that.
 */
export async function reportVolumes(
  ctx: Context<"table" | "volumes">,
  before: Before,
  now: number,
): Promise<Required<VolumesReport>> {
  const noted = volumesBefore(before, now);
  const owned = await listOwned(ctx);
  if (!owned) return noted;
  const known = (noted.volumes ?? []).map(({ volume, ...one }) => ({ ...one, id: volume }));
  const found = await findUnowned(ctx, owned, known, now);
  const sizes = new Map(owned.map(({ id, sizeGb = 0 }) => [id, sizeGb]));
  const gb = found.reduce((sum, { id }) => sum + (sizes.get(id) ?? 0), 0);
  const { volumeGb = 0, gbHours = 0, volumesListedAt = now } = noted;
  return {
    volumes: firstThatFit(
      found.map(({ id, ...one }) => ({ volume: id, ...one })),
      UNOWNED_LISTED,
    ),
    volumeCount: found.length,
    volumeGb: gb,
    volumesListedAt: undefined,
    gbHours: gbHours + (Math.min(gb, volumeGb) * (now - volumesListedAt)) / HOUR_MS,
  };
}

/** A right to list them that is missing keeps no run from being compared. */
async function listOwned(ctx: Context<"volumes">): Promise<readonly OwnedVolume[] | undefined> {
  try {
    return await ctx.volumes.listOwned();
  } catch (error) {
    ctx.log.warn("volumes not listed", { error: String(error) });
    return undefined;
  }
}
