import type { Context } from "../context.ts";
import type { Key } from "../ports/table.ts";
import type { Volume, VolumeRef } from "../ports/volumes.ts";
import { Problem, VolumeRefused } from "../problem.ts";
import { keyText } from "../store/keys.ts";
import { type Check, literal, number, orNull, shape, text } from "../store/shape.ts";

/** Calls with a token start no later than this after the entry was written. */
const CALLS_MS = 120_000;
/** They have ended by then: the step's budget, a call's time-out and the clock difference of two hosts. */
const LAST_CALL_MS = CALLS_MS + 45_000;
/** EC2 listings lag. Treat a resource as absent only this long after the last call that could have created it. */
export const LISTED_MS = 10 * 60_000;
/** A worker may have read the entry this long before it removes leftovers (budget, time-out, clock difference). */
const REMOVING_MS = 45_000;
/** Random hex digits of a token. EC2 allows 64 characters in total. */
const SUFFIX = 12;
/** The most entries of a record. It is reached only after repeated failures. */
const MOST = 40;

/** A volume that may exist, recorded before its creation (docs/architecture/consistency.md#conditional-writes). */
export interface PendingVolume {
  readonly kind: "volume";
  readonly token: string;
  readonly zone: string;
  readonly sizeGb: number;
  /** The snapshot that it is restored from, or null for an empty volume. */
  readonly from: string | null;
  readonly at: number;
}

export interface PendingSnapshot {
  readonly kind: "snapshot";
  readonly token: string;
  readonly from: string;
  readonly at: number;
}

export type PendingCreate = PendingVolume | PendingSnapshot;

export const isVolumeMaking: Check<PendingVolume> = shape<PendingVolume>({
  kind: literal("volume"),
  token: text,
  zone: text,
  sizeGb: number,
  from: orNull(text),
  at: number,
});
const isSnapshotMaking = shape<PendingSnapshot>({ kind: literal("snapshot"), token: text, from: text, at: number });
export const isMaking: Check<PendingCreate> = (value): value is PendingCreate =>
  isVolumeMaking(value) || isSnapshotMaking(value);

/** Returns when the resource is searched for. Only then can it be treated as absent. */
export function settlesAt({ at }: PendingCreate): number {
  return at + LAST_CALL_MS + LISTED_MS;
}

export function earliestConfirmableAt(making: readonly PendingCreate[]): number {
  return Math.min(Number.POSITIVE_INFINITY, ...making.map(settlesAt));
}

/** Returns the list with the entry added or renewed. Throws if there are too many. */
export function listMaking<Entry extends PendingCreate>(making: readonly Entry[], entry: Entry): readonly Entry[] {
  const others = making.filter(({ token }) => token !== entry.token);
  if (others.length >= MOST)
    throw new Problem("unavailable", "Too many possible leftovers of failed attempts are still being searched for");
  return [...others, entry];
}

/**
 * Returns the entry to create a volume under. Another zone, size or snapshot needs a new token, because EC2 rejects a
 * reused one. So does an entry that is about to be searched for, or a suspended worker could take the new volume for a
 * leftover and remove it. If `isListed` is false, write the record with the entry before the call.
 */
export function volumeMaking(
  ctx: Context,
  making: readonly PendingCreate[],
  prefix: string,
  wanted: Pick<PendingVolume, "zone" | "sizeGb" | "from">,
): { readonly entry: PendingVolume; readonly isListed: boolean } {
  const { zone, sizeGb, from } = wanted;
  const now = ctx.clock.now();
  const knownVolumeMaking = making.find(
    (making): making is PendingVolume =>
      making.kind === "volume" &&
      now < settlesAt(making) - REMOVING_MS &&
      making.token.slice(0, -SUFFIX - 1) === prefix &&
      making.zone === zone &&
      making.sizeGb === sizeGb &&
      making.from === from,
  );
  if (knownVolumeMaking && now - knownVolumeMaking.at < CALLS_MS) return { entry: knownVolumeMaking, isListed: true };
  const token = knownVolumeMaking?.token ?? `${prefix}-${ctx.ids.uid().slice(0, SUFFIX)}`;
  return { entry: { kind: "volume", token, zone, sizeGb, from, at: now }, isListed: false };
}

function makeVolume(ctx: Context<"volumes">, record: Key, entry: PendingVolume): Promise<VolumeRef> {
  const { token, zone, sizeGb, from } = entry;
  return ctx.volumes.createVolume({ token, zone, sizeGb, snapshotId: from ?? undefined, key: keyText(record) });
}

export async function tryToMakeVolume(
  ctx: Context<"volumes">,
  record: Key,
  entry: PendingVolume,
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
 * Removes volumes created under an entry and never used; no run uses a volume that no record names. Returns whether the
 * entry can be forgotten. An attached volume is logged as an error and stays.
 */
export async function removeUnused(
  ctx: Context<"volumes">,
  { token }: PendingVolume,
  volumes: readonly Volume[],
): Promise<boolean> {
  const attached = volumes.filter((volume) => volume.attached);
  for (const { id } of attached) ctx.log.error("a volume that no record holds is attached", { volume: id, token });
  await Promise.all(volumes.map(({ id, attached: isUsed }) => isUsed || ctx.volumes.removeVolume(id)));
  return attached.length === 0;
}
