import { StepTooOld } from "../budget.ts";
import type { Observation, Run, VolumeRef } from "../context.ts";
import { findDisk } from "../disks/record.ts";
import { keyText, specKey } from "../keys.ts";
import { utcText } from "../utc.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { closeActions, hasOpenAction } from "./actions.ts";
import { openDisk } from "./disk.ts";
import { changed, tellingPool, waited } from "./pace.ts";
import { type DiskUse, type Environment, keyOf, type Step as PreparingStep, waitingFields } from "./record.ts";
import { decryptSpec } from "./spec.ts";
import { addEntry } from "./timeline.ts";
import { decideEnd, enter } from "./transitions.ts";
import { passedWarning } from "./warnings.ts";

const MINUTE_MS = 60_000;
/** Not bound in this time after it was made: the grant is withdrawn (design section 3). */
const BIND_MS = 60_000;
/** How far beyond the wanted time the cluster's own deadline lies (design section 6). */
const NET_MS = 15 * MINUTE_MS;
const REMOVAL_GRACE_SECONDS = 10;
/** One that never binds must not set aside one machine after the other. */
const MOST_WITHDRAWALS = 2;

/** Makes the run, follows it until it is ready, gives the grant back when nothing binds it. */
export async function stepPreparing(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment>> {
  if (environment.outcome) return stopping(environment, now);
  if (environment.disk && !environment.disk.attached) return attachDisk(ctx, environment, environment.disk, now);
  const observed = await ctx.compute.observe(environment.uid, environment.run);
  if (environment.withdrawing) return withdraw(ctx, environment, observed, now);
  if (!observed) return environment.appliedAt === null ? apply(ctx, environment, now) : fail(environment, now, LOST);
  if (observed.state === "ready" || (observed.state === "ended" && observed.started)) {
    return activate(environment, observed, now);
  }
  if (observed.state === "ended") return fail(environment, now, observed.reason ?? "The run ended before it began");
  return follow(ctx, { ...environment, appliedAt: environment.appliedAt ?? now }, observed, now);
}

const LOST = "Its compute disappeared from the cluster";

/** Ends a life that was decided to end; the reason is the outcome's. */
export function stopping(environment: Environment, now: number): Step<Environment> {
  return changed(enter(environment, "stopping", now, environment.outcome?.reason ?? null), now, "stopping");
}

export function fail(environment: Environment, now: number, reason: string): Step<Environment> {
  return stopping(decideEnd(environment, { phase: "failed", reason, at: now }), now);
}

/** When the cluster may end this run by itself: a net for a dead control plane, never the timer. */
function clusterDeadline(ctx: WorkerContext, environment: Environment, now: number): number {
  const end = environment.endsAt ?? now + ctx.settings.preparingMinutes * MINUTE_MS + environment.size.wantedMs;
  return end + NET_MS;
}

/** Marked as attached before anything can be written to it: whatever happens from here on, its end is backed up. */
async function attachDisk(
  ctx: WorkerContext,
  environment: Environment,
  use: DiskUse,
  now: number,
): Promise<Step<Environment>> {
  const opened = await openDisk(ctx, environment, environment.zone ?? "");
  if (!opened?.disk.volume) return fail(environment, now, `Disk '${use.name}' is not its own any more`);
  const { zone } = opened.disk.volume;
  const attached: Environment = { ...environment, step: "pod", zone, disk: { ...use, attached: true } };
  const { restored } = opened;
  const note = restored && `Disk '${use.name}' restored from its backup of ${utcText(restored.at)}`;
  return changed(note ? addEntry(attached, now, note) : attached, now, "opened its disk");
}

async function apply(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const key = keyOf(environment);
  const item = await ctx.table.get(specKey(key));
  if (!item) return fail(environment, now, "Its specification is missing");
  const { image, command, env } = await decryptSpec(ctx.sealer, item);
  const volume = environment.disk ? await volumeOf(ctx, environment, environment.disk) : undefined;
  if (environment.disk && !volume) return fail(environment, now, `Disk '${environment.disk.name}' has no volume`);
  await applyRun(ctx, {
    uid: environment.uid,
    run: environment.run,
    key: keyText(key),
    name: environment.name,
    pool: environment.size.pool,
    instanceType: environment.size.instanceType,
    image,
    command,
    env,
    shares: environment.grant?.shares ?? [],
    gpusPerMachine: environment.size.gpus / environment.size.machines,
    volume,
    until: clusterDeadline(ctx, environment, now),
  });
  return changed(closeActions({ ...environment, appliedAt: now }, ["extend"], now), now, "made its compute");
}

/** Only while the disk is this environment's. */
async function volumeOf(ctx: WorkerContext, environment: Environment, use: DiskUse): Promise<VolumeRef | undefined> {
  const disk = await findDisk(ctx, environment.owner, use.uid);
  return disk?.heldBy?.uid === environment.uid ? (disk.volume ?? undefined) : undefined;
}

/** What the cluster says of a run may repeat the run, secrets included: only the kind of the error goes on. */
async function applyRun(ctx: WorkerContext, run: Run): Promise<void> {
  try {
    await ctx.compute.apply(run);
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
    const kind = [name, code].filter((part) => /^[\w.-]{1,40}$/.test(String(part ?? "")));
    throw new Error(`The cluster did not take the run: ${kind.join(" ") || "unknown error"}`);
  }
}

function activate(environment: Environment, observed: Observation, now: number): Step<Environment> {
  const note = observed.notes.length > 0 ? observed.notes.join("; ") : null;
  const endsAt = now + environment.size.wantedMs;
  const ready: Environment = {
    ...environment,
    appliedAt: environment.appliedAt ?? now,
    startedAt: now,
    endsAt,
    warnedMinutes: passedWarning(endsAt, now),
    address: observed.address,
    isolation: observed.isolation,
  };
  const active = enter(ready, "active", now, note);
  return tellingPool(changed({ ...active, reason: null }, now, "active"));
}

const stepOfState = {
  unbound: "pod",
  image: "image",
  container: "container",
  probe: "probe",
} as const satisfies Record<Exclude<Observation["state"], "ready" | "ended">, PreparingStep>;

async function follow(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation,
  now: number,
): Promise<Step<Environment>> {
  const since = environment.preparingAt ?? now;
  const limit = ctx.settings.preparingMinutes;
  const why = observed.reason ? `: ${observed.reason}` : "";
  if (now - since >= limit * MINUTE_MS) {
    return fail(environment, now, `Not ready after ${limit} minutes, at step ${environment.step ?? "pod"}${why}`);
  }
  if (observed.state === "unbound" && now - (environment.appliedAt ?? now) >= BIND_MS) {
    return changed({ ...environment, withdrawing: true, reason: observed.reason }, now, "withdraws its grant");
  }
  const extended = await extendRun(ctx, environment, now);
  const step = stepOfState[observed.state as keyof typeof stepOfState];
  if (step === environment.step && observed.reason === environment.reason) return waited(extended, now, step);
  const moved = { ...extended, step, reason: observed.reason };
  return { ...waited({ ...addEntry(moved, now, observed.reason), looks: 0 }, now, step) };
}

/** Moves the cluster's own deadline if somebody asked for more time, and closes the requests. */
export async function extendRun(ctx: WorkerContext, environment: Environment, now: number): Promise<Environment> {
  if (!hasOpenAction(environment, "extend")) return environment;
  await ctx.compute.extend(environment.uid, environment.run, clusterDeadline(ctx, environment, now));
  return closeActions(environment, ["extend"], now);
}

/** Back to its old place: the run is removed, and only when nothing of it is left does the next one get a number. */
async function withdraw(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation | undefined,
  now: number,
): Promise<Step<Environment>> {
  const { uid, run } = environment;
  if (observed && observed.state !== "unbound" && !observed.terminating) {
    return changed({ ...environment, withdrawing: false }, now, "bound after all");
  }
  if (observed?.started) return fail(environment, now, "Its machine came while its grant was being withdrawn");
  if (observed) {
    await ctx.compute.remove(uid, run, { graceSeconds: REMOVAL_GRACE_SECONDS, force: false });
    return waited(environment, now, "removes the unbound run");
  }
  if (environment.withdrawals >= MOST_WITHDRAWALS) return fail(environment, now, unplaceable(environment));
  const nodes = (environment.grant?.shares ?? []).flatMap((share) => share.node ?? []);
  const back: Environment = {
    ...environment,
    ...waitingFields(environment),
    run: run + 1,
    grant: null,
    appliedAt: null,
    withdrawing: false,
    disk: environment.disk && { ...environment.disk, attached: false },
    withdrawn: { run, nodes, at: now },
    withdrawals: environment.withdrawals + 1,
    preparingAt: null,
  };
  const reason = `Nothing could start on ${nodes.join(", ") || "the granted machine"} within a minute; waiting again`;
  return tellingPool(changed(enter(back, "queued", now, reason), now, "queued again"));
}

function unplaceable({ withdrawals, reason }: Environment): string {
  return `No machine could start it, ${withdrawals + 1} times${reason ? `: ${reason}` : ""}`;
}
