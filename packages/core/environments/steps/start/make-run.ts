import { findDisk } from "../../../disks/record.ts";
import type { Mount, Run } from "../../../ports/compute.ts";
import type { VolumeRef } from "../../../ports/volumes.ts";
import { kindOfError, RunNotTaken, RunRefused } from "../../../problem.ts";
import { StepTooOld } from "../../../reconciler/budget.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { keyText, specKey } from "../../../store/keys.ts";
import { WrongSeal } from "../../../store/sealed.ts";
import { MINUTE_MS } from "../../../units.ts";
import { hasOpenAction } from "../../record/changes/actions.ts";
import { nextExtensionAt, noteRefusedExtensions, showExtensions } from "../../record/changes/extensions.ts";
import type { DiskUse } from "../../record/disk/disk-use.ts";
import { type Environment, toKey } from "../../record/record.ts";
import { decryptSpec, type OpenSpec } from "../../record/spec.ts";
import { changed, waitedForStart } from "../../record/step-result.ts";
import { addEntry, shorten } from "../../record/timeline.ts";
import { hasReturnsLeft } from "../end/end-interrupted.ts";
import { endRun } from "../end/end-run.ts";
import { takeBackWarning } from "../warnings.ts";
import { bindMs } from "./revoke-grant.ts";

const WORKSPACE = "/workspace";
/** Margin of the cluster's own deadline, a safety net for a dead control plane and never the timer. */
const SAFETY_TIMEOUT_MS = 15 * MINUTE_MS;
const EXTENDED_AGAIN_MS = 30_000;
const FAR_MS = 365 * 24 * 60 * MINUTE_MS;

export async function makeRun(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const key = toKey(environment);
  const item = await ctx.table.get(specKey(key, environment.spec ?? environment.uid));
  if (!item) return endRun(environment, now, "Its specification is missing");
  const spec = await unlessWronglySealed(() => decryptSpec(ctx.sealer, item));
  if (!spec) return endRun(environment, now, WRONG_SEAL);
  const { image, command, env, registryLogin } = spec;
  const volume = environment.disk ? await findVolume(ctx, environment, environment.disk) : undefined;
  if (environment.disk && !volume) return endRun(environment, now, `Disk '${environment.disk.name}' has no volume`);
  const refusal = await applyRun(ctx, {
    uid: environment.uid,
    run: environment.run.n,
    key: keyText(key),
    name: environment.name,
    pool: environment.size.pool,
    instanceType: environment.size.instanceType,
    image,
    registryLogin,
    command,
    env,
    shares: environment.run.grant?.shares ?? [],
    avoids: environment.run.grant?.avoids,
    gpusPerMachine: environment.size.gpus / environment.size.machines,
    mounts: volume ? [{ volume, path: WORKSPACE }] : ownMounts(environment),
    ports: environment.ports,
    addressLabel: environment.addressLabel ?? undefined,
    resources: environment.resources,
    graceSeconds: environment.policy.ownGraceSeconds,
    isEvictable: hasReturnsLeft(environment) || undefined,
    until: clusterDeadline(ctx, environment, now),
  });
  if (refusal instanceof RunRefused) return endRun(environment, now, refusal.message);
  if (refusal) return notTaken(ctx, environment, now, refusal.message);
  // Another worker may have made the run with earlier limits. An open resize stays open and is applied to the run.
  const resized = hasOpenAction(environment, "resize") ? null : environment.resources;
  return changed({ ...environment, run: { ...environment.run, appliedAt: now, resized } }, now, "made its compute");
}

const WRONG_SEAL = "Its specification cannot be decrypted: sealed with another key, or changed";

/** Returns undefined for a wrong seal. A failed sealer throws, so the step is retried. */
async function unlessWronglySealed(open: () => Promise<OpenSpec>): Promise<OpenSpec | undefined> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof WrongSeal) return undefined;
    throw error;
  }
}

function ownMounts({ volumes }: Environment): Mount[] {
  return volumes.flatMap(({ volume, path }) => (volume ? [{ volume, path }] : []));
}

async function findVolume(ctx: WorkerContext, environment: Environment, use: DiskUse): Promise<VolumeRef | undefined> {
  const disk = await findDisk(ctx, environment.owner, use.uid);
  return disk?.heldBy?.uid === environment.uid ? (disk.volume ?? undefined) : undefined;
}

/**
 * Returns a refusal whose text may be shown. Other errors may repeat the run, secrets included, so only their kind is
 * passed on.
 */
async function applyRun(ctx: WorkerContext, run: Run): Promise<RunRefused | RunNotTaken | undefined> {
  try {
    await ctx.compute.apply(run);
    return undefined;
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    if (error instanceof RunRefused || error instanceof RunNotTaken) return error;
    throw new Error(`The cluster did not accept the run: ${kindOfError(error)}`);
  }
}

/** Applies the run again until the cluster accepts it, for at most the time in which a run must be bound. */
function notTaken(ctx: WorkerContext, environment: Environment, now: number, why: string): Step<Environment> {
  const reason = shorten(`The cluster did not accept the run: ${why}`);
  const said = environment.reason === reason ? environment : addEntry({ ...environment, reason }, now, reason);
  const { run } = said;
  // Give the grant back, because no part of the run exists and other jobs may use its machines.
  if (now - (run.applyingAt ?? now) >= bindMs(ctx, said)) {
    return changed({ ...said, run: { ...run, withdrawing: true, refusedForNow: true } }, now, "withdraws its grant");
  }
  return waitedForStart(said, now, "was not taken");
}

/**
 * Moves the cluster's own deadline and closes the request. On a failure the request stays open and the step continues:
 * the record's end has already moved.
 */
export async function extendRun(ctx: WorkerContext, environment: Environment, now: number): Promise<Environment> {
  if (nextExtensionAt(environment) > now) return environment;
  const { uid, run } = environment;
  try {
    await ctx.compute.extend(uid, run.n, clusterDeadline(ctx, environment, now));
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    ctx.log.warn("not extended", { uid, run: run.n, error: String(error) });
    return noteRefusedExtensions(environment, kindOfError(error), now);
  }
  return takeBackWarning(showExtensions(environment, now), now);
}

/**
 * Moves the cluster's deadline of a run that became ready after an outage. On a failure, that deadline may end it
 * early.
 */
export async function keepNetBehind(ctx: WorkerContext, environment: Environment, now: number): Promise<void> {
  if (!environment.unseen?.runMs) return;
  const { uid, run } = environment;
  try {
    await ctx.compute.extend(uid, run.n, clusterDeadline(ctx, environment, now));
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    ctx.log.warn("not extended", { uid, run: run.n, error: String(error) });
  }
}

export function nextExtendAt(environment: Environment, now: number): number {
  const at = nextExtensionAt(environment);
  return at > now ? at : now + EXTENDED_AGAIN_MS;
}

/** Returns the cluster's own deadline: a net for a dead control plane, never the timer. */
function clusterDeadline(ctx: WorkerContext, environment: Environment, now: number): number {
  if (environment.policy.time === "none") return now + FAR_MS;
  const end = environment.times.endsAt ?? now + ctx.settings.preparingMinutes * MINUTE_MS + environment.size.wantedMs;
  return end + SAFETY_TIMEOUT_MS;
}
