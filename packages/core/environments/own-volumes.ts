import type { VolumeRef } from "../context.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { changeRecord } from "../write-record.ts";
import { detachVolumes } from "./lost-node.ts";
import { changed, until } from "./pace.ts";
import { parseEnvironment } from "./parse.ts";
import { type Environment, keyOf, type OwnVolume } from "./record.ts";
import { removeStrays } from "./strays.ts";

/** Longer than a worker that read that they are to be made may still make them: the step's budget and a call's time-out. */
const STILL_MADE_MS = 30_000;
/** The step's budget, a call's time-out and the clocks of two hosts. */
const CLAIM_MS = 40_000;

/** Whether a volume of its own is still to be made before a run can be. */
export function lacksVolumes({ volumes }: Environment): boolean {
  return volumes.some(({ volume }) => volume === null);
}

/** Makes those that are not there, all at once, and writes them down before a run is made with them. */
export async function makeVolumes(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment>> {
  const volumes = await Promise.all(environment.volumes.map((own) => made(ctx, environment, own)));
  const zone = volumes[0]?.volume.zone ?? environment.zone;
  return changed({ ...environment, step: "pod", zone, volumes }, now, "made its volumes");
}

/** Removes those that are known, once no machine has them; undefined when none is. */
export async function removeVolumes(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment> | undefined> {
  const { volumes, appliedAt, stoppingAt } = environment;
  const ids = volumes.flatMap(({ volume }) => volume?.id ?? []);
  if (ids.length === 0) return undefined;
  if (await areAttached(ctx, ids)) {
    // To a run that a sleeping worker made again, perhaps: nobody else looks for it before the end.
    await removeStrays(ctx, environment, "all");
    return (await detachVolumes(ctx, environment, ids, now)) ?? changed(environment, now, "its volumes are detached");
  }
  await Promise.all(ids.map((id) => ctx.volumes.removeVolume(id)));
  const isSure = !lacksVolumes(environment) && now >= (appliedAt ?? stoppingAt ?? now) + STILL_MADE_MS;
  const left = isSure ? [] : volumes.map((own) => ({ ...own, volume: null }));
  return changed({ ...environment, volumes: left }, now, "removed its volumes");
}

/**
 * Removes what was made and not written down, or made by a worker that slept while they were removed: its token finds
 * it. Only when nobody can make any more, and claimed, since the token makes what it does not find. Undefined: there is
 * nothing to look for.
 */
export function removeLateVolumes(environment: Environment, now: number): Step<Environment> | undefined {
  const { volumes, preparingAt, run, clearing = 0 } = environment;
  // One that only ever waited has none.
  const wereMade = preparingAt !== null || run > 1;
  if (volumes.length === 0 || !wereMade || !givesUpVolumes(environment)) return undefined;
  if (now < clearing) return until(environment, clearing, "waits for who removes its volumes");
  const claimed = { ...environment, clearing: now + CLAIM_MS };
  const step = until(claimed, claimed.clearing, "claims what is left of its volumes");
  return { ...step, act: (ctx) => clearLate(ctx, claimed) };
}

/** What fails here is done again after the claim. */
async function clearLate(ctx: WorkerContext, claimed: Environment): Promise<void> {
  const late = await Promise.all(claimed.volumes.map((own) => made(ctx, claimed, own)));
  const ids = late.map(({ volume }) => volume.id);
  if (await areAttached(ctx, ids)) return;
  await Promise.all(ids.map((id) => ctx.volumes.removeVolume(id)));
  await changeRecord(ctx, {
    read: () => ctx.table.get(keyOf(claimed)),
    decide(item) {
      const isOwn = item?.uid === claimed.uid && item.clearing === claimed.clearing;
      return isOwn ? { ...parseEnvironment(item), volumes: [], clearing: undefined } : undefined;
    },
    what: `Environment ${claimed.uid} is`,
  });
}

/** It shall be deleted, or its first run failed and its policy keeps nothing of that. */
function givesUpVolumes(environment: Environment): boolean {
  return environment.outcome !== null || isCleared(environment);
}

/** Its first run failed before it was ever active, and its policy keeps nothing of that. */
export function isCleared({ policy, broken, starts, firstActiveAt }: Environment): boolean {
  return policy.firstFailure === "clears" && broken !== null && starts === 0 && firstActiveAt === null;
}

async function areAttached(ctx: WorkerContext, ids: readonly string[]): Promise<boolean> {
  const found = await Promise.all(ids.map((id) => ctx.volumes.findVolume(id)));
  return found.some((volume) => volume?.attached);
}

async function made(
  ctx: WorkerContext,
  { uid, zone }: Environment,
  own: OwnVolume,
): Promise<OwnVolume & { readonly volume: VolumeRef }> {
  const { name, sizeGb } = own;
  const wanted = { token: `${uid}-${name}`, sizeGb, zone: zone ?? "", snapshotId: undefined };
  return { ...own, volume: own.volume ?? (await ctx.volumes.createVolume(wanted)) };
}
