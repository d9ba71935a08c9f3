import type { Context } from "../context.ts";
import type { Key } from "../ports/table.ts";
import type { Volume, VolumeRef } from "../ports/volumes.ts";
import { Problem, VolumeRefused } from "../problem.ts";
import { keyText } from "../store/keys.ts";
import { type Check, number, oneOf, orNull, shape, text } from "../store/shape.ts";

/** Every call under a token is decided this soon after the entry was written. */
const CALLS_MS = 120_000;
/** And is over by then: the step's budget, a call's time-out and the clocks of two hosts. */
const LAST_CALL_MS = CALLS_MS + 45_000;
/** EC2 lists late: what is not seen does not exist only so long after the last call that could have made it. */
export const LISTED_MS = 10 * 60_000;
/**
 * Whoever removes what an entry left may have read it so long before: its step's budget, a call's time-out, the clocks.
 */
const REMOVING_MS = 45_000;
/** Hex digits that make a token another one; EC2 takes 64 characters in all. */
const SUFFIX = 12;
/** A bound for the record: so many are listed only where something goes wrong again and again. */
const MOST = 40;

/**
 * A volume that may exist under this token, written down before it is made
 * (docs/architecture/consistency.md#conditional-writes).
 */
export interface VolumeMaking {
  readonly kind: "volume";
  readonly token: string;
  readonly zone: string;
  readonly sizeGb: number;
  /** The snapshot it is restored from; null: it is empty. */
  readonly from: string | null;
  readonly at: number;
}

/** A snapshot that may exist with this tag of its attempt. */
export interface SnapshotMaking {
  readonly kind: "snapshot";
  readonly token: string;
  /** The volume it is made of. */
  readonly from: string;
  readonly at: number;
}

export type Making = VolumeMaking | SnapshotMaking;

/** Whether a record that is read holds the making of a volume. */
export const isVolumeMaking: Check<VolumeMaking> = shape<VolumeMaking>({
  kind: oneOf("volume"),
  token: text,
  zone: text,
  sizeGb: number,
  from: orNull(text),
  at: number,
});
const isSnapshotMaking = shape<SnapshotMaking>({ kind: oneOf("snapshot"), token: text, from: text, at: number });
export const isMaking: Check<Making> = (value): value is Making => isVolumeMaking(value) || isSnapshotMaking(value);

/** When it is looked for, and only then believed not to exist. */
export function settlesAt({ at }: Making): number {
  return at + LAST_CALL_MS + LISTED_MS;
}

/** The first of these moments; infinite when nothing is listed. */
export function firstSettles(making: readonly Making[]): number {
  return Math.min(Number.POSITIVE_INFINITY, ...making.map(settlesAt));
}

/** The list with the entry renewed, or added. Throws while there are too many. */
export function listMaking<Entry extends Making>(making: readonly Entry[], entry: Entry): readonly Entry[] {
  const others = making.filter(({ token }) => token !== entry.token);
  if (others.length >= MOST) throw new Problem("unavailable", "Too much that may have been made is still looked for");
  return [...others, entry];
}

/**
 * The entry under which a volume is to be made. Another zone, size or snapshot is another token, since EC2 refuses the
 * same one; and so is one made about when the last is looked for, or a worker that slept would take it for that and
 * remove it. `isListed`: it may be called under at once; else the record that lists it is written first.
 */
export function volumeMaking(
  ctx: Context,
  making: readonly Making[],
  prefix: string,
  wanted: Pick<VolumeMaking, "zone" | "sizeGb" | "from">,
): { readonly entry: VolumeMaking; readonly isListed: boolean } {
  const { zone, sizeGb, from } = wanted;
  const now = ctx.clock.now();
  const known = making.find(
    (one): one is VolumeMaking =>
      one.kind === "volume" &&
      now < settlesAt(one) - REMOVING_MS &&
      one.token.slice(0, -SUFFIX - 1) === prefix &&
      one.zone === zone &&
      one.sizeGb === sizeGb &&
      one.from === from,
  );
  if (known && now - known.at < CALLS_MS) return { entry: known, isListed: true };
  const token = known?.token ?? `${prefix}-${ctx.ids.uid().slice(0, SUFFIX)}`;
  return { entry: { kind: "volume", token, zone, sizeGb, from, at: now }, isListed: false };
}

/** Makes the volume that an entry of this record names, or finds it made. */
function makeVolume(ctx: Context<"volumes">, record: Key, entry: VolumeMaking): Promise<VolumeRef> {
  const { token, zone, sizeGb, from } = entry;
  return ctx.volumes.createVolume({ token, zone, sizeGb, snapshotId: from ?? undefined, key: keyText(record) });
}

/** Makes the volume, or answers why it is refused. */
export async function tryToMakeVolume(
  ctx: Context<"volumes">,
  record: Key,
  entry: VolumeMaking,
): Promise<VolumeRef | VolumeRefused> {
  try {
    return await makeVolume(ctx, record, entry);
  } catch (error) {
    if (!(error instanceof VolumeRefused)) throw error;
    ctx.log.warn("volume not made", { token: entry.token, error: error.message });
    return error;
  }
}

/**
 * Removes what is listed under an entry and was never used: no run is made with a volume that no record holds. Answers
 * whether the entry may be forgotten; one that some machine has all the same is reported and stays.
 */
export async function removeUnused(
  ctx: Context<"volumes">,
  { token }: VolumeMaking,
  volumes: readonly Volume[],
): Promise<boolean> {
  const attached = volumes.filter((volume) => volume.attached);
  for (const { id } of attached) ctx.log.error("a volume that no record holds is attached", { volume: id, token });
  await Promise.all(volumes.map(({ id, attached: isUsed }) => isUsed || ctx.volumes.removeVolume(id)));
  return attached.length === 0;
}
