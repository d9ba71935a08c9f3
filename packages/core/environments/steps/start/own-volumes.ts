import { zonePinnedBy } from "../../../disks/record.ts";
import { whyNot } from "../../../disks/removal.ts";
import type { NodeRef } from "../../../ports/compute.ts";
import type { ArchiveOwner } from "../../../ports/volumes.ts";
import { VolumeRefused } from "../../../problem.ts";
import { StepTooOld } from "../../../reconciler/budget.ts";
import {
  listMaking,
  type PendingVolume,
  removeUnused,
  settlesAt,
  tryToMakeVolume,
  volumeMaking,
} from "../../../reconciler/pending-creates.ts";
import { pauseMs } from "../../../reconciler/snapshot-claim.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { keyText } from "../../../store/keys.ts";
import { type OwnVolume, refusedVolume } from "../../record/disk/disk-use.ts";
import { mayBeBegun } from "../../record/end.ts";
import { type Environment, toKey } from "../../record/record.ts";
import { changed, requeueAt, waitedSince } from "../../record/step-result.ts";
import { shorten } from "../../record/timeline.ts";
import { ALARM_MS } from "../deadlines.ts";
import { endRun } from "../end/end-run.ts";
import { removeLeftoverRuns } from "../end/leftover-runs.ts";
import { detachVolumes } from "../lost-node.ts";

export function lacksVolumes({ volumes }: Environment): boolean {
  return volumes.some(({ volume }) => volume === null);
}

/**
 * Creates all missing volumes. Attempts are recorded before, and volumes before a run uses them. A refusal is retried
 * with growing pauses.
 */
export async function makeVolumes(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment>> {
  const planned = environment.volumes.map((ownVolume) => ({
    own: ownVolume,
    making: ownVolume.volume ? undefined : plan(ctx, environment, ownVolume),
  }));
  const unlisted = planned.flatMap(({ making }) => (making && !making.isListed ? [making.entry] : []));
  if (unlisted.length > 0) {
    const making = unlisted.reduce<readonly PendingVolume[]>(listMaking, environment.making);
    return changed({ ...environment, making }, now, "lists its volumes");
  }
  const tried = await Promise.all(
    planned.map(async ({ own: ownVolume, making }) => {
      const volume = making ? await tryToMakeVolume(ctx, environment, making.entry) : ownVolume.volume;
      return { own: ownVolume, volume };
    }),
  );
  const refused = tried.flatMap(({ own: ownVolume, volume }) =>
    volume instanceof VolumeRefused ? [{ own: ownVolume, refusal: volume }] : [],
  );
  const forGood = refused.find(({ refusal }) => refusal.isForGood);
  if (forGood) return endRun(environment, now, forGood.refusal.message);
  const [first] = refused;
  if (first) {
    const reason = refusedVolume(`its volume '${first.own.name}'`, first.refusal.message);
    return waitedSince({ ...environment, reason }, environment.run.preparingAt, now, "is refused its volumes");
  }
  const volumes = tried.flatMap(({ own: ownVolume, volume }) =>
    volume instanceof VolumeRefused ? [] : [{ ...ownVolume, volume }],
  );
  const zone = zonePinnedBy(volumes[0]?.volume) ?? environment.zone;
  return changed({ ...environment, step: "pod", reason: null, zone, volumes }, now, "made its volumes");
}

function plan(ctx: WorkerContext, { uid, zone, making }: Environment, { name, sizeGb }: OwnVolume) {
  return volumeMaking(ctx, making, `${uid}-${name}`, { zone: zone ?? "", sizeGb, from: null });
}

/**
 * Removes volumes that were made but not recorded: no run ever used them. A failure is postponed and delays nothing
 * else.
 */
export async function settleVolumes(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment> | undefined> {
  const due = environment.making.filter((entry) => now >= settlesAt(entry));
  if (due.length === 0) return undefined;
  const ownIds = new Set(environment.volumes.map(({ volume }) => volume?.id));
  const settled = await Promise.all(due.map((entry) => removeLate(ctx, entry, ownIds)));
  const left = due.flatMap((entry, index) => (settled[index] ? [] : [{ ...entry, at: now }]));
  const making = [...environment.making.filter((entry) => !due.includes(entry)), ...left];
  return changed({ ...environment, making }, now, "looked for volumes that were made late");
}

async function removeLate(
  ctx: WorkerContext,
  entry: PendingVolume,
  ownIds: ReadonlySet<string | undefined>,
): Promise<boolean> {
  try {
    const found = await ctx.volumes.listVolumes(entry.token);
    return await removeUnused(
      ctx,
      entry,
      found.filter(({ id }) => !ownIds.has(id)),
    );
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    ctx.log.warn("late volumes not looked for", { token: entry.token, error: String(error) });
    return false;
  }
}

/**
 * Removes the recorded volumes once they are detached. A volume that cannot be removed is retried with growing pauses.
 */
export async function removeVolumes(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment> | undefined> {
  const { end, uid } = environment;
  if (listIds(environment).length === 0) return undefined;
  const held = await detachOwn(ctx, environment, now);
  if (held) return held;
  const tried = await Promise.all(environment.volumes.map((ownVolume) => removeOwn(ctx, ownVolume)));
  const volumes = tried.map(({ own: ownVolume }) => ownVolume);
  const refused = tried.flatMap(({ refusal }) => refusal ?? []);
  if (refused.length === 0)
    return changed({ ...environment, volumes, end: { ...end, waitsFor: null } }, now, "removed its volumes");
  // A stopped environment does not enter `stopping` again, so no other alarm would report this.
  const takenMs = now - (end.outcome?.at ?? end.stoppingAt ?? now);
  ctx.log[takenMs >= ALARM_MS ? "error" : "warn"]("volumes not removed", { uid, left: refused });
  const waitsFor = shorten(`Its volume ${refused[0]}`);
  const waits = { ...environment, volumes, end: { ...end, waitsFor } };
  return requeueAt(waits, now + pauseMs(takenMs), "could not remove its volumes");
}

async function removeOwn(ctx: WorkerContext, ownVolume: OwnVolume): Promise<{ own: OwnVolume; refusal?: string }> {
  const { volume } = ownVolume;
  if (!volume) return { own: ownVolume };
  const why = await whyNot(() => ctx.volumes.removeVolume(volume.id));
  if (why === undefined) return { own: { ...ownVolume, volume: null } };
  return { own: ownVolume, refusal: `${volume.id} cannot be removed: ${why}` };
}

/** Waits until a removed run's volumes are detached, since the next run could not start without them. */
export async function detachOwn(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment> | undefined> {
  const ids = listIds(environment);
  if (!(await areAttached(ctx, ids))) return undefined;
  // A paused worker may have made a run again that uses them; no other step searches for it.
  await removeLeftoverRuns(ctx, environment, "all");
  const silent = await endArchive(ctx, environment);
  const step = await detachVolumes(ctx, environment, ids, now);
  if (!step) return changed(environment, now, "its volumes are detached");
  const { end } = step.record;
  if (!end.archive) return step;
  // At most 120 characters, with a node name of 50.
  const words = silent && `${silent.name} has its archive and is silent; waiting for it or the operator's word`;
  const waitsFor = words ? shorten(words) : end.waitsFor;
  return { ...step, record: { ...step.record, end: { ...end, archive: { ...end.archive, silent }, waitsFor } } };
}

function listIds({ volumes }: Environment): string[] {
  return volumes.flatMap(({ volume }) => volume?.id ?? []);
}

export async function areAttached(ctx: WorkerContext, ids: readonly string[]): Promise<boolean> {
  const found = await Promise.all(ids.map((id) => ctx.volumes.findVolume(id)));
  return found.some((volume) => volume?.attached);
}

/** Ends an archive. Returns the silent machine that holds the volume, if any. Throws if its state is unknown. */
export async function endArchive(ctx: WorkerContext, environment: Environment): Promise<NodeRef | undefined> {
  const { archive } = environment.end;
  return archive && mayBeBegun(archive)
    ? await ctx.volumes.endArchive(archive.blob, toArchiveOwner(environment))
    : undefined;
}

export function toArchiveOwner(environment: Environment): ArchiveOwner {
  return { uid: environment.uid, key: keyText(toKey(environment)) };
}
