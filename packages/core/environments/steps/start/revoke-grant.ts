import { findGroup, longestToBindMs } from "../../../pools/capacity/groups.ts";
import { findRevocationCause, isRefusedByMachine, type RevocationCause } from "../../../pools/plan/revocation-cause.ts";
import type { Observation } from "../../../ports/compute.ts";
import { RunBound } from "../../../problem.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { groupsText, listMachineNames } from "../../../text/machine-names.ts";
import { MINUTE_MS } from "../../../units.ts";
import type { DiskUse } from "../../record/disk/disk-use.ts";
import { getGraceSeconds } from "../../record/policy.ts";
import { type Environment, type Withdrawn, waitingFields } from "../../record/record.ts";
import { noRun } from "../../record/run/run-state.ts";
import { changed, notifyPool, requeueAt, waited } from "../../record/step-result.ts";
import { enter } from "../../record/transitions.ts";
import { endInterrupted } from "../end/end-interrupted.ts";
import { endRun } from "../end/end-run.ts";
import { noStartFrom, noteRemoval, releasableAt, tombstonesFor } from "../end/release.ts";
import { checkMachines, nextMachineCheckAt } from "../lost-node.ts";

/** More would let a run that never binds block one machine after another. */
const MOST_WITHDRAWALS = 2;
const LEAST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 600_000;

/**
 * Removes the unbound run, waits until no worker can start it, then returns it to its place in the queue. Ends it after
 * too many tries; stops if it was bound in between.
 */
export async function withdraw(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation | undefined,
  now: number,
): Promise<Step<Environment>> {
  if (observed && observed.state !== "unbound" && !observed.terminating) {
    const causes = {
      lacksVolume: undefined,
      refusedForNow: undefined,
      refusedByNode: undefined,
      lacks: undefined,
      isRejected: undefined,
    };
    const run = { ...environment.run, ...causes, withdrawing: false };
    const bound = { ...run, noStartSince: null, removedAt: null, startsRefused: undefined };
    return changed({ ...environment, run: bound }, now, "bound after all");
  }
  if (observed?.started && isWhole(environment, observed)) {
    return endRun(environment, now, "Its machine came while its grant was being withdrawn");
  }
  const noStart = noStartFrom(environment, now);
  if (observed || environment.run.removedAt === null) {
    // One of several machines may already be bound and lost. The end of the run frees the pod and the disk on it.
    const { machines, lost, waitsFor } = await checkMachines(ctx, environment, observed?.nodes ?? [], now);
    const seen = machines.length > 0 ? { ...noStart, run: { ...noStart.run, machines } } : noStart;
    if (lost) return endInterrupted(seen, now, `Its machine was lost: ${lost.name}`);
    const removed = await removeUnbound(ctx, seen, now);
    if (!removed) return waited(environment, now, "sees its run bound");
    if (waitsFor === null) return waited(removed, now, "removes the unbound run");
    return requeueAt({ ...removed, reason: waitsFor }, nextMachineCheckAt(machines, now), "waits for its machine");
  }
  const freeAt = releasableAt(noStart, now);
  if (now < freeAt) return requeueAt(noStart, freeAt, "waits until no worker can start it again");
  return returnToQueue(ctx, environment, now);
}

async function returnToQueue(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const { run, disk, size, placement } = environment;
  // If nothing else caused the return, this try counts as failed.
  const uncountedBecause = await findRevocationCause(ctx, environment, now);
  if (!uncountedBecause && placement.withdrawals >= MOST_WITHDRAWALS) {
    return endRun(environment, now, unplaceable(environment));
  }
  const nodes = (run.grant?.shares ?? []).flatMap((share) => share.node ?? []);
  // The listing shows when they accept runs again.
  const saidSo = uncountedBecause?.why !== "full" && isRefusedByMachine(uncountedBecause);
  const blamesNodes = !uncountedBecause || uncountedBecause.why === "unreadable" || saidSo;
  const setsNodesAside = run.lacksVolume === undefined && blamesNodes;
  const back: Environment = {
    ...environment,
    ...waitingFields(environment),
    run: { ...run, n: run.n + 1, ...noRun, grant: null, preparingAt: null },
    disk: disk && withoutRun(disk, size.machines),
    placement: {
      ...placement,
      withdrawn: {
        run: run.n,
        nodes: setsNodesAside ? nodes : [],
        at: now,
        ...(saidSo && { saidSo: true as const }),
        ...(uncountedBecause?.why === "unmade" && lackingMachine(environment)),
      },
      withdrawals: placement.withdrawals + (uncountedBecause ? 0 : 1),
      ...(uncountedBecause?.why === "unseen" && { unseen: (placement.unseen ?? 0) + 1 }),
    },
  };
  if (uncountedBecause?.why === "refused") return notifyPool(pause(back, now));
  const reason = reasonOfReturn(environment, uncountedBecause, bindMs(ctx, environment));
  return notifyPool(changed(enter(back, "queued", now, reason), now, "queued again"));
}

function lackingMachine({ run, zone }: Environment): Pick<Withdrawn, "lacksMachine" | "lacks" | "zone"> {
  const awaited = run.grant?.shares.find(({ node }) => node === null)?.zone ?? zone;
  const { lacks } = run;
  return { lacksMachine: true, ...(lacks && { lacks }), ...(awaited !== null && { zone: awaited }) };
}

/** Leaves the line for a while, longer each time, because the cluster would refuse the next try, too. */
function pause(environment: Environment, now: number): Step<Environment> {
  const { placement, reason } = environment;
  const count = (placement.refusals?.count ?? 0) + 1;
  const until = now + Math.min(LEAST_PAUSE_MS * 2 ** (count - 1), LONGEST_PAUSE_MS);
  const back = enter(
    { ...environment, placement: { ...placement, refusals: { count, until } } },
    "queued",
    now,
    reason,
  );
  return requeueAt({ ...back, waitPool: undefined, waitOrder: undefined }, until, "pauses");
}

export function bindMs(ctx: WorkerContext, { size, run }: Environment): number {
  const { shares = [], startupMs } = run.grant ?? {};
  return longestToBindMs(shares, startupMs ?? findGroup(ctx, size.pool)?.startupMs ?? 0);
}

/**
 * Returns the disk without this run. Of several machines, the first may have started alone, so the disk counts as
 * written.
 */
function withoutRun(use: DiskUse, machines: number): DiskUse {
  return { ...use, attached: false, ...(machines > 1 && { written: true }) };
}

/** Reports whether all machines of the run exist. A run on only some of them does not count as begun. */
function isWhole({ run: { grant } }: Environment, { nodes }: Observation): boolean {
  return nodes.length >= (grant?.shares.length ?? 1);
}

/** Returns undefined if the run was bound after the observation: its command may be running and must not run twice. */
async function removeUnbound(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Environment | undefined> {
  const { uid, run } = environment;
  const removal = {
    graceSeconds: getGraceSeconds(environment, ctx.settings),
    force: false,
    unlessBound: true,
  } as const;
  try {
    const hasTombstones = await ctx.compute.remove(uid, run.n, { ...removal, ...tombstonesFor(environment, now) });
    return { ...environment, run: noteRemoval(run, hasTombstones, now) };
  } catch (error) {
    if (error instanceof RunBound) return undefined;
    throw error;
  }
}

function unplaceable({ placement: { withdrawals, unseen = 0 }, reason }: Environment): string {
  const why = reason ?? (unseen > 0 ? "the cluster reported nothing about it" : null);
  return `No machine could start it, ${withdrawals + unseen + 1} times${why ? `: ${why}` : ""}`;
}

function reasonOfReturn(environment: Environment, excuse: RevocationCause | undefined, withinMs: number): string {
  return `${whatFailed(environment, excuse, withinMs)}; waiting again`;
}

function whatFailed({ run, size, reason }: Environment, excuse: RevocationCause | undefined, withinMs: number): string {
  const within = withinMs <= MINUTE_MS ? "a minute" : `${Math.round(withinMs / MINUTE_MS)} minutes`;
  const nodes = (run.grant?.shares ?? []).flatMap((share) => share.node ?? []);
  if (excuse?.why === "unmade") {
    const came = run.lacks === undefined ? `came within ${within}` : "came";
    const named = run.grant?.shares.find(({ group }) => group !== undefined)?.group;
    return `No new ${size.instanceType}${groupsText(named === undefined ? [] : [named])} ${came}${reason ? `: ${reason}` : ""}`;
  }
  if (!excuse && run.isRejected && reason) return reason;
  if (!excuse) return `Nothing could start on ${listMachineNames(nodes) || "a new machine"} within ${within}`;
  if (excuse.why === "refused") return "The cluster does not accept this run now";
  if (excuse.why === "unseen") return `The cluster reported nothing about it within ${within}`;
  return words[excuse.why](excuse.name);
}

type Named = Exclude<RevocationCause["why"], "unseen" | "refused" | "unmade">;

const words = {
  full: (name) => `Other runs were put on ${name}, which has no room left`,
  unreadable: (name) => `Nothing could start on ${name}, and its other runs cannot be read`,
  gone: (name) => `Nothing could start on ${name}, which is gone`,
  notReady: (name) => `Nothing could start on ${name}, which is not ready`,
  cordoned: (name) => `Nothing could start on ${name}, which is cordoned`,
  tainted: (name) => `Nothing could start on ${name}, whose taint keeps it for other runs`,
  closed: (name) => `Nothing could start on ${name}, which accepts no new runs now`,
} satisfies Record<Named, (name: string) => string>;
