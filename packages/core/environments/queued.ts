import { patienceMs } from "../patience.ts";
import { findPool, type Grant, knowsOf, type Pool } from "../pools/record.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { closeActions } from "./actions.ts";
import { readyDisk, releaseUnused } from "./disk.ts";
import { fail, stopping } from "./fail.ts";
import { lacksVolumes } from "./own-volumes.ts";
import { changed, tellingDisk, tellingPool, until } from "./pace.ts";
import { type Environment, noRun, type Outcome, waitingFields } from "./record.ts";
import { decideEnd, enter } from "./transitions.ts";

/** While the pool knows that it waits: the pool looks at itself every minute and repeats what it granted. */
const KNOWN_MS = 300_000;
/** The least while its disk is being backed up. More than a little early (reconcile.ts), or doubled looks would never die out. */
const DISK_MS = 5_000;
/** While the pool has not seen it yet. */
const UNKNOWN_MS = 5_000;

/** Takes its grant if the ledger has one, makes itself known to the pool if it does not, ends if it shall. */
export async function stepQueued(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment> | undefined> {
  if (environment.end.outcome) return endInQueue(ctx, environment, environment.end.outcome, now);
  const ready = await readyDisk(ctx, environment);
  if (ready.kind === "lost") {
    return endInQueue(ctx, environment, { phase: "deleted", reason: ready.reason, at: now }, now);
  }
  const extended = closeActions(environment, ["extend"], now);
  if (ready.kind === "waits") {
    const wait = Math.max(DISK_MS, patienceMs(now - environment.queuedAt));
    return until(outOfLine(extended, ready.reason), now + wait, "waits for its disk");
  }
  if (environment.waitPool === undefined) {
    const inLine = { ...extended, ...waitingFields(extended), zone: ready.zone, reason: null };
    return tellingPool(until(inLine, now + UNKNOWN_MS, "stands in line"));
  }
  const pool = await findPool(ctx, environment.size.pool);
  const grant = pool?.granted.find((one) => one.uid === environment.uid && one.run === environment.run.n);
  if (pool && grant) return tellingPool(changed(takeGrant(extended, pool, grant, now), now, "took its grant"));

  if ((environment.dueAt ?? now) > now) return undefined;
  if (pool && knowsOf(pool, environment)) return until(extended, now + KNOWN_MS, "waits");
  return tellingPool(until(extended, now + UNKNOWN_MS, "asked its pool"));
}

/** Ends what waits for capacity and so holds none. */
export async function endInQueue(
  ctx: WorkerContext,
  environment: Environment,
  outcome: Outcome,
  now: number,
): Promise<Step<Environment>> {
  if (hasOwn(environment)) return tellingPool(stopping(decideEnd(environment, outcome), now));
  await releaseUnused(ctx, environment);
  const decided = decideEnd(environment, outcome);
  const over = enter(decided, outcome.phase, now, outcome.reason);
  const ended = { ...over, end: { ...over.end, at: now } };
  const disk = ended.disk && { ...ended.disk, released: true };
  return tellingDisk(
    tellingPool(changed(closeActions({ ...ended, disk }, ["cancel", "extend"], now), now, outcome.phase)),
  );
}

/**
 * Its disk is still being backed up after the environment before it, or cannot be read: it is granted nothing until
 * then. Who leaves the line comes back to it under another number: a planner that saw it outside may drop its grant at any later moment, so
 * that grant must not be taken any more.
 */
function outOfLine(environment: Environment, reason: string): Environment {
  const run = environment.waitPool === undefined ? environment.run.n : environment.run.n + 1;
  return { ...environment, run: { ...environment.run, n: run }, waitPool: undefined, waitOrder: undefined, reason };
}

/** Its end is that of one that ran: something of its own is to be archived, removed or given back. */
function hasOwn({ volumes, addressLabel, policy }: Environment): boolean {
  return volumes.length > 0 || addressLabel !== null || policy.restarts;
}

/** It may be started again: it is stopped with the reason. */
export function giveUp(environment: Environment, now: number, reason: string): Step<Environment> {
  return tellingPool(fail(environment, now, reason));
}

/** The environment takes its grant itself, in one conditional write that names it (design section 3). */
function takeGrant(environment: Environment, pool: Pool, grant: Grant, now: number): Environment {
  const zone = pool.nodes.find((node) => node.name === grant.shares[0]?.node)?.zone ?? environment.zone;
  const nodes = grant.shares.map((share) => share.node ?? "a node still to be made");
  const taken: Environment = {
    ...environment,
    run: { ...environment.run, grant: { shares: grant.shares, at: now }, machines: [], preparingAt: now, ...noRun },
    zone: environment.disk || environment.volumes.length > 0 ? zone : environment.zone,
  };
  const step = environment.disk || lacksVolumes(environment) ? "disk" : "pod";
  return { ...enter(taken, "preparing", now, `Capacity granted on ${nodes.join(", ")}`), step };
}
