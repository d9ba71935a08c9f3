import type { Context } from "../context.ts";
import { keyOfText, keyText, kindOfKey } from "../keys.ts";
import type { OwnedVolume } from "../ports/volumes.ts";

/** A volume without a record. It is reported and never removed: a table restored from a backup costs nobody their work. */
export interface OrphanVolume {
  readonly volume: string;
  /** The key in a message of the record that it was made for; null: nothing says it. */
  readonly key: string | null;
  readonly why: string;
  readonly firstSeenAt: number;
  /** Comparisons in a row that found it. */
  readonly sightings: number;
}

/** What a cluster answers may be longer; keys of records are shorter. */
const LONGEST = 200;

/** Compares the volumes that there are with the records; none where they are not listed, which the log says. */
export async function findOrphanVolumes(
  ctx: Context<"table" | "volumes">,
  before: readonly OrphanVolume[],
  now: number,
): Promise<OrphanVolume[]> {
  // Listed first: a record is there before its volume is.
  const volumes = await listOwned(ctx);
  const keys = volumes.flatMap((volume) => recordKeyOf(volume) ?? []);
  const items = keys.length === 0 ? [] : await ctx.table.getMany(keys);
  const there = new Set(items.map(keyText));
  return volumes.flatMap((volume) => {
    const why = whyNot(volume, there);
    if (why === undefined) return [];
    const known = before.find((one) => one.volume === volume.id);
    const key = volume.key === null ? null : volume.key.slice(0, LONGEST);
    const sightings = (known?.sightings ?? 0) + 1;
    return [{ volume: volume.id.slice(0, LONGEST), key, why, firstSeenAt: known?.firstSeenAt ?? now, sightings }];
  });
}

/** A right to list them that is missing keeps no run from being compared. */
async function listOwned(ctx: Context<"volumes">): Promise<readonly OwnedVolume[]> {
  try {
    return await ctx.volumes.listOwned();
  } catch (error) {
    ctx.log.warn("volumes not listed", { error: String(error) });
    return [];
  }
}

function whyNot(volume: OwnedVolume, there: ReadonlySet<string>): string | undefined {
  if (volume.key === null) return "nothing says whose it is";
  if (!recordKeyOf(volume)) return "its key is that of no disk or environment";
  return there.has(volume.key) ? undefined : "it has no record";
}

function recordKeyOf({ key }: OwnedVolume) {
  const named = key === null || key.length > LONGEST ? undefined : keyOfText(key);
  const kind = named && kindOfKey(named);
  return kind === "environment" || kind === "disk" ? named : undefined;
}
