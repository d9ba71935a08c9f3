import type { Context } from "../context.ts";
import { count, list, number, optional, orNull, shape, type Table, text } from "../store/shape.ts";
import { HOUR_MS } from "../units.ts";
import { continuePass, type Pass } from "./orphan-pass.ts";
import type { Unowned } from "./unowned.ts";

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
  /** When all of them were last compared. Absent if with this report. */
  readonly volumesListedAt?: number | undefined;
  /** GB-hours of volumes without a record, from known sizes. Between two comparisons, the smaller total counts. */
  readonly gbHours?: number | undefined;
  /** How far the comparison of all volumes came, if it takes several. */
  readonly volumePass?: VolumePass | undefined;
}

interface VolumePass {
  readonly next: string;
  readonly volumes: readonly OrphanVolume[];
  readonly volumeCount: number;
  readonly volumeGb: number;
}

const orphanVolumes = list(
  shape<OrphanVolume>({ volume: text, key: orNull(text), why: text, firstSeenAt: number, sightings: count }),
);

export const volumesReport: Table<VolumesReport> = {
  volumes: optional(orphanVolumes),
  volumeCount: optional(count),
  volumeGb: optional(number),
  volumesListedAt: optional(number),
  gbHours: optional(number),
  volumePass: optional(shape<VolumePass>({ next: text, volumes: orphanVolumes, volumeCount: count, volumeGb: number })),
};

type Before = (VolumesReport & { readonly checkedAt: number }) | undefined;

/** Returns the volumes of the previous report, for use until all are compared. */
export function volumesBefore(before: Before, now: number): Required<VolumesReport> {
  const { volumes = [], volumeCount = 0, volumeGb = 0, gbHours = 0, checkedAt = now, volumePass } = before ?? {};
  const volumesListedAt = before?.volumesListedAt ?? checkedAt;
  return { volumes, volumeCount, volumeGb, gbHours, volumesListedAt, volumePass };
}

/**
 * Compares the existing volumes with the records. Until all are compared, and if a listing fails, the report has the
 * previous findings: a failed listing does not prove that a volume is gone.
 */
export async function reportVolumes(
  ctx: Context<"table" | "volumes">,
  before: Before,
  now: number,
): Promise<Required<VolumesReport>> {
  const noted = volumesBefore(before, now);
  const { whole, rest } = await continuePass(ctx, readPass(noted.volumePass), {
    list: async (after) => {
      const { volumes: owned, next } = await ctx.volumes.listOwned(after);
      return { owned, next };
    },
    earlier: toUnowned(noted.volumes ?? []),
    now,
    failure: "volumes not listed",
  });
  if (!whole) return { ...noted, volumePass: storePass(rest) };
  const { volumeGb = 0, gbHours = 0, volumesListedAt = now } = noted;
  return {
    volumes: toVolumes(whole.found),
    volumeCount: whole.count,
    volumeGb: whole.gb,
    volumesListedAt: undefined,
    gbHours: gbHours + (Math.min(whole.gb, volumeGb) * (now - volumesListedAt)) / HOUR_MS,
    volumePass: undefined,
  };
}

function readPass(stored: VolumePass | undefined): Pass | undefined {
  if (!stored) return undefined;
  const { next, volumes, volumeCount, volumeGb } = stored;
  return { next, found: toUnowned(volumes), count: volumeCount, gb: volumeGb };
}

function storePass(pass: Pass | undefined): VolumePass | undefined {
  if (pass?.next === undefined) return undefined;
  const { next, found, count: volumeCount, gb: volumeGb } = pass;
  return { next, volumes: toVolumes(found), volumeCount, volumeGb };
}

function toUnowned(volumes: readonly OrphanVolume[]): Unowned[] {
  return volumes.map(({ volume, ...fields }) => ({ ...fields, id: volume }));
}

function toVolumes(found: readonly Unowned[]): OrphanVolume[] {
  return found.map(({ id, ...fields }) => ({ volume: id, ...fields }));
}
