import { findDisk } from "../../../disks/record.ts";
import type { Mount, Run } from "../../../ports/compute.ts";
import type { VolumeRef } from "../../../ports/volumes.ts";
import { RunNotTaken, RunRefused } from "../../../problem.ts";
import { StepTooOld } from "../../../reconciler/budget.ts";
import type { Step, WorkerContext } from "../../../reconciler/worker.ts";
import { keyText, specKey } from "../../../store/keys.ts";
import { WrongSeal } from "../../../store/sealed.ts";
import { MINUTE_MS } from "../../../units.ts";
import { hasOpenAction } from "../../record/changes/actions.ts";
import { nextExtensionAt, noteRefusedExtensions, showExtensions } from "../../record/changes/extensions.ts";
import type { DiskUse } from "../../record/disk/disk-use.ts";
import { kindOfError } from "../../record/kind-of-error.ts";
import { type Environment, keyOf } from "../../record/record.ts";
import { decryptSpec, type OpenSpec } from "../../record/spec.ts";
import { changed, waitedForStart } from "../../record/step-result.ts";
import { addEntry, shorten } from "../../record/timeline.ts";
import { endRun } from "../end/end-run.ts";
import { takeBackWarning } from "../warnings.ts";
import { bindMs } from "./withdraw.ts";

/** Where its disk is seen. */
const WORKSPACE = "/workspace";
/** How far beyond the wanted time the cluster's own deadline lies (a net for a dead control plane, never the timer). */
const NET_MS = 15 * MINUTE_MS;
/** Well within that net. */
const EXTENDED_AGAIN_MS = 30_000;
/** The cluster's deadline of what has no end of its own. */
const FAR_MS = 365 * 24 * 60 * MINUTE_MS;

/** Makes the run of an environment whose volumes are there; repeated, it is the same one. */
export async function makeRun(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const key = keyOf(environment);
  const item = await ctx.table.get(specKey(key, environment.spec ?? environment.uid));
  if (!item) return endRun(environment, now, "Its specification is missing");
  const spec = await unlessWronglySealed(() => decryptSpec(ctx.sealer, item));
  if (!spec) return endRun(environment, now, WRONG_SEAL);
  const { image, command, env } = spec;
  const volume = environment.disk ? await volumeOf(ctx, environment, environment.disk) : undefined;
  if (environment.disk && !volume) return endRun(environment, now, `Disk '${environment.disk.name}' has no volume`);
  const refusal = await applyRun(ctx, {
    uid: environment.uid,
    run: environment.run.n,
    key: keyText(key),
    name: environment.name,
    pool: environment.size.pool,
    instanceType: environment.size.instanceType,
    image,
    command,
    env,
    shares: environment.run.grant?.shares ?? [],
    gpusPerMachine: environment.size.gpus / environment.size.machines,
    mounts: volume ? [{ volume, path: WORKSPACE }] : ownMounts(environment),
    ports: environment.ports,
    addressLabel: environment.addressLabel ?? undefined,
    resources: environment.resources,
    until: clusterDeadline(ctx, environment, now),
  });
  if (refusal instanceof RunRefused) return endRun(environment, now, refusal.message);
  if (refusal) return notTaken(ctx, environment, now, refusal.message);
  // Another apply may have made it with what was wanted before: what was asked for meanwhile stays open, and is done to
  // it.
  const resized = hasOpenAction(environment, "resize") ? null : environment.resources;
  return changed({ ...environment, run: { ...environment.run, appliedAt: now, resized } }, now, "made its compute");
}

const WRONG_SEAL = "What it runs cannot be opened: it was sealed with another key, or changed";

/** Undefined: nobody opens it any more. A sealer that does not answer is asked again. */
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

/** Only while the disk is this environment's. */
async function volumeOf(ctx: WorkerContext, environment: Environment, use: DiskUse): Promise<VolumeRef | undefined> {
  const disk = await findDisk(ctx, environment.owner, use.uid);
  return disk?.heldBy?.uid === environment.uid ? (disk.volume ?? undefined) : undefined;
}

/**
 * Answers why the run was not taken, where that may be said; undefined: it was. What else the cluster says of a run may
 * repeat the run, secrets included: only the kind of the error goes on.
 */
async function applyRun(ctx: WorkerContext, run: Run): Promise<RunRefused | RunNotTaken | undefined> {
  try {
    await ctx.compute.apply(run);
    return undefined;
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    if (error instanceof RunRefused || error instanceof RunNotTaken) return error;
    throw new Error(`The cluster did not take the run: ${kindOfError(error)}`);
  }
}

/** Applies the run again until the cluster takes it, for at most the time in which a run must be bound. */
function notTaken(ctx: WorkerContext, environment: Environment, now: number, why: string): Step<Environment> {
  const reason = shorten(`The cluster did not take the run: ${why}`);
  const said = environment.reason === reason ? environment : addEntry({ ...environment, reason }, now, reason);
  const { run } = said;
  // Give the grant back, because no part of the run exists and other jobs may use its machines.
  if (now - (run.applyingAt ?? now) >= bindMs(ctx, said)) {
    return changed({ ...said, run: { ...run, withdrawing: true, refusedForNow: true } }, now, "withdraws its grant");
  }
  return waitedForStart(said, now, "was not taken");
}

/**
 * Moves the cluster's own deadline if somebody asked for more time, and closes the requests. Where the cluster does not
 * take it they stay open and say why, and the rest of the step goes on: the record's own end is moved already.
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
 * Moves the cluster's own deadline of a run that became ready after an outage, because the run gets its whole time from
 * now on. If the cluster refuses, that deadline may end the run early.
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

/** When the next one is due, or tried again. */
export function nextExtendAt(environment: Environment, now: number): number {
  const at = nextExtensionAt(environment);
  return at > now ? at : now + EXTENDED_AGAIN_MS;
}

/** When the cluster may end this run by itself: a net for a dead control plane, never the timer. */
function clusterDeadline(ctx: WorkerContext, environment: Environment, now: number): number {
  if (environment.policy.time === "none") return now + FAR_MS;
  const end = environment.times.endsAt ?? now + ctx.settings.preparingMinutes * MINUTE_MS + environment.size.wantedMs;
  return end + NET_MS;
}
