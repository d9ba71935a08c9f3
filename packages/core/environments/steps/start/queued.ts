import { zonePinnedBy } from "../../../disks/record.ts";
import { findGroup, getGrowth } from "../../../pools/capacity/groups.ts";
import { currentInterruption } from "../../../pools/capacity/interruption.ts";
import { growthOutside, isInParts, isMadeOutside, partsClosedTo } from "../../../pools/capacity/pool-parts.ts";
import { readLedgerItems, wholeGrants } from "../../../pools/ledger/ledger.ts";
import { findPool, type Grant } from "../../../pools/ledger/record.ts";
import { zoneForVolume } from "../../../pools/ledger/shortage.ts";
import type { PoolPart } from "../../../ports/compute.ts";
import type { ReconcileRequest } from "../../../ports/queue.ts";
import { pollBackoffMs } from "../../../reconciler/backoff.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { isLedgerItem, keyText } from "../../../store/keys.ts";
import { listMachineNames } from "../../../text/machine-names.ts";
import { closeActions } from "../../record/changes/actions.ts";
import { nextExtensionAt, showExtensions } from "../../record/changes/extensions.ts";
import { mayHaveWritten } from "../../record/disk/disk-use.ts";
import type { Outcome } from "../../record/end.ts";
import { type Environment, waitingFields } from "../../record/record.ts";
import type { Machine } from "../../record/run/machine.ts";
import { noRun } from "../../record/run/run-state.ts";
import { changed, notifyDisk, notifyPool, requeueAt } from "../../record/step-result.ts";
import { decideEnd, enter } from "../../record/transitions.ts";
import { endRun, stopping } from "../end/end-run.ts";
import { listMachines } from "../lost-node.ts";
import { readyDisk, releaseUnused } from "./disk.ts";
import { lacksVolumes } from "./own-volumes.ts";

/** The pool itself reads its waiters each minute and repeats their grants. */
const KNOWN_MS = 300_000;
/** Must exceed the early tolerance (reconcile.ts), or duplicate reconciles never end. */
const DISK_MS = 5_000;
/** Delay of the second message to the pool: the first one may be lost, and the index may lag. */
const UNKNOWN_MS = 5_000;
const FIRST_PASSES = 0;
/** Most ledger items kept in a placement: more than the machines of several runs. Older items have been released. */
const MOST_LEDGERS = 40;

export async function stepQueued(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
  message: ReconcileRequest,
): Promise<Step<Environment> | undefined> {
  if (environment.end.outcome) return endInQueue(ctx, environment, environment.end.outcome, now);
  const ready = await readyDisk(ctx, environment);
  if (ready.kind === "lost" || ready.kind === "missing") {
    // The submit refuses a disk in use, so the loss of one is shown only to an environment that waited.
    const phase = ready.kind === "lost" ? "deleted" : "failed";
    return endInQueue(ctx, environment, { phase, reason: ready.reason, at: now }, now);
  }
  const extended = showExtensions(environment, now);
  const extensionAt = nextExtensionAt(extended);
  if (ready.kind === "waits") {
    const wait = Math.max(DISK_MS, pollBackoffMs(now - environment.queuedAt));
    const step = requeueAt(outOfLine(extended, ready.reason), Math.min(now + wait, extensionAt), "waits for its disk");
    // Its reservation or grant is free for other environments now.
    return environment.waitPool === undefined ? step : notifyPool(step);
  }
  const pausesUntil = environment.placement.refusals?.until ?? 0;
  if (environment.waitPool === undefined && now < pausesUntil)
    return requeueAt(extended, Math.min(pausesUntil, extensionAt), "pauses");
  if (environment.waitPool === undefined) {
    const zone = ready.zone ?? findVolumesZone(extended);
    const inLine = { ...extended, ...waitingFields(extended), zone, reason: null };
    return notifyPool(requeueAt(inLine, Math.min(now + UNKNOWN_MS, extensionAt), "stands in line"));
  }
  const grant = await findGrant(ctx, environment, message.for ?? [], now);
  if (grant === "closed") {
    const declined = { ...extended, run: { ...extended.run, n: extended.run.n + 1 } };
    return notifyPool(requeueAt(declined, Math.min(now + UNKNOWN_MS, extensionAt), "declines a closed machine"));
  }
  if (grant) return notifyPool(changed(takeGrant(extended, grant, now), now, "took its grant"));

  if ((environment.dueAt ?? now) > now) return undefined;
  const wait = environment.looks > FIRST_PASSES ? KNOWN_MS : UNKNOWN_MS;
  return notifyPool(requeueAt(extended, Math.min(now + wait, extensionAt), "waits"));
}

interface Offer {
  readonly grant: Grant;
  readonly machines: readonly Machine[];
  readonly zone: string | null;
  readonly avoids: readonly PoolPart[] | undefined;
  /** The start-up time of a new machine, if it waits for one. */
  readonly startupMs: number | undefined;
}

/**
 * Returns the grant from the items in the message, or from the pool's head. Reads the head last, so that no grant is
 * taken from a closed pool. Returns "closed" if one of its machines was drained, or is taken back by its provider,
 * since it was granted, or will be drained before the run would end.
 */
async function findGrant(
  ctx: WorkerContext,
  { uid, run, size, dueAt, times, zone: ownZone, policy, starts }: Environment,
  named: readonly string[],
  now: number,
): Promise<Offer | "closed" | undefined> {
  const inPool = named.filter((item) => isLedgerItem(size.pool, item));
  const isDue = (dueAt ?? now) <= now;
  const ledgers = inPool.length === 0 && isDue ? ((await findPool(ctx, size.pool))?.offered[uid] ?? []) : inPool;
  if (ledgers.length === 0) return undefined;
  const { records: items } = await readLedgerItems(ctx, ledgers);
  const grant = wholeGrants(items).find((wholeGrant) => wholeGrant.uid === uid && wholeGrant.run === run.n);
  const pool = grant && (await findPool(ctx, size.pool));
  if (!grant || pool?.closed) return undefined;
  const granted = grant.items.map((key) => items.find((item) => keyText(item) === key));
  const pinned = granted.filter((item) => item?.kind === "node");
  const nodes = pinned.length === granted.length ? pinned : [];
  const makeable = granted.find((item) => item?.kind === "makeable");
  const growth = makeable && getGrowth(ctx, makeable);
  const awaited = grant.shares.find((share) => share.node === null)?.zone;
  const endOf = (startsAt: number) => times.endsAt ?? startsAt + size.wantedMs;
  // As in the plan: new machines close earlier by their start-up time, and machines that exist do not.
  const closed = partsClosedTo(pool ?? {}, endOf(now + (growth?.startupMs ?? 0)));
  const closedNow = partsClosedTo(pool ?? {}, endOf(now));
  const open = growth && growthOutside(closed, growth);
  const isOpen = !makeable || isMadeOutside(closed, growth, awaited ?? ownZone);
  if (!isOpen || pinned.some((node) => isInParts(closedNow, node))) return "closed";
  if (pinned.some((node) => currentInterruption(node, now))) return "closed";
  const zone = pinned[0]?.zone ?? awaited ?? (makeable && zoneForVolume(makeable, open?.zones ?? [], uid)) ?? null;
  // Nothing may close the machine that an interrupted run has left.
  const hasLeft = policy.onInterruption === "requeue" && starts > 0;
  const left = hasLeft ? run.machines.map(({ name }) => ({ node: name })) : [];
  const avoids = makeable && avoidable(ctx, size.pool, [...closed, ...left]);
  return { grant, machines: listMachines({ nodes }), zone, avoids, startupMs: growth?.longestStartupMs };
}

/**
 * Returns the closed parts that a run without a machine can avoid. Karpenter, which may create the machines of types in
 * NODE_GROUPS, refuses pods whose affinity names nodes ("matchFields is not supported").
 */
function avoidable(ctx: WorkerContext, pool: string, closed: readonly PoolPart[]): readonly PoolPart[] | undefined {
  const parts = findGroup(ctx, pool) ? closed.filter(({ node }) => node === undefined) : closed;
  return parts.length > 0 ? parts : undefined;
}

/**
 * Ends a queued environment. With a disk, the end is written first: only a conditional write shows a missed grant
 * before a running job's disk is given away.
 */
export async function endInQueue(
  ctx: WorkerContext,
  environment: Environment,
  outcome: Outcome,
  now: number,
): Promise<Step<Environment>> {
  if (endsAsOneThatRan(environment)) return notifyPool(stopping(decideEnd(environment, outcome), now));
  const decided = decideEnd(environment, outcome);
  if (environment.disk && !environment.end.outcome) return changed(decided, now, "decided its end");
  await releaseUnused(ctx, environment);
  const over = enter(decided, outcome.phase, now, outcome.reason);
  const ended = { ...over, end: { ...over.end, at: now } };
  const disk = ended.disk && { ...ended.disk, released: true };
  return notifyDisk(
    notifyPool(changed(closeActions({ ...ended, disk }, ["cancel", "extend"], now), now, outcome.phase)),
  );
}

/**
 * Leaves the line, and comes back with another run number: a planner that saw it outside may drop its grant at any
 * time.
 */
function outOfLine(environment: Environment, reason: string): Environment {
  const run = environment.waitPool === undefined ? environment.run.n : environment.run.n + 1;
  return { ...environment, run: { ...environment.run, n: run }, waitPool: undefined, waitOrder: undefined, reason };
}

function endsAsOneThatRan({ volumes, addressLabel, policy, disk }: Environment): boolean {
  return volumes.length > 0 || addressLabel !== null || policy.restarts || (disk !== null && mayHaveWritten(disk));
}

/** Returns the zone of the environment's own volumes, or null before they exist. */
function findVolumesZone({ volumes }: Environment): string | null {
  return zonePinnedBy(volumes.find(({ volume }) => volume)?.volume);
}

export function giveUp(environment: Environment, now: number, reason: string): Step<Environment> {
  return notifyPool(endRun(environment, now, reason));
}

/** Takes the grant in one conditional write that names it (docs/architecture/admission.md). */
function takeGrant(environment: Environment, offer: Offer, now: number): Environment {
  const {
    grant: { id, shares, items },
    machines,
    zone,
    avoids,
    startupMs,
  } = offer;
  const nodes = shares.map((share) => share.node ?? "a node still to be made");
  const ledgers = [...new Set([...items, ...environment.placement.ledgers])].slice(0, MOST_LEDGERS);
  // A new machine may come in any zone of its group, and volumes stay where they are.
  const pinned = findVolumesZone(environment);
  const taken: Environment = {
    ...environment,
    run: {
      ...environment.run,
      grant: { id, shares, at: now, startupMs, avoids },
      machines,
      preparingAt: now,
      ...noRun,
    },
    placement: { ...environment.placement, ledgers },
    unseen: environment.unseen && { ms: environment.unseen.ms, runMs: 0 },
    zone: environment.disk || environment.volumes.length > 0 ? (pinned ?? zone ?? environment.zone) : environment.zone,
  };
  const step = environment.disk || lacksVolumes(environment) ? "disk" : "pod";
  // The timeline notes the grant. From here on, the record's reason is its present obstacle.
  return { ...enter(taken, "preparing", now, `Capacity granted on ${listMachineNames(nodes)}`), step, reason: null };
}
