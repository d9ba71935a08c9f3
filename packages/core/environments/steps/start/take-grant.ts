import { zonePinnedBy } from "../../../disks/record.ts";
import { findGroup, getGrowth } from "../../../pools/capacity/groups.ts";
import { currentInterruption } from "../../../pools/capacity/interruption.ts";
import { isInParts, isMadeOutside, partsClosedTo } from "../../../pools/capacity/pool-parts.ts";
import { readLedgerItems, wholeGrants } from "../../../pools/ledger/ledger.ts";
import { findPool, type Grant } from "../../../pools/ledger/record.ts";
import type { PoolPart } from "../../../ports/compute.ts";
import type { WorkerContext } from "../../../reconciler/step.ts";
import { isLedgerItem, keyText } from "../../../store/keys.ts";
import { groupsText, listMachineNames } from "../../../text/machine-names.ts";
import type { Environment } from "../../record/record.ts";
import type { Machine } from "../../record/run/machine.ts";
import { noRun } from "../../record/run/run-state.ts";
import { enter } from "../../record/transitions.ts";
import { listMachines } from "../lost-node.ts";
import { lacksVolumes } from "./own-volumes.ts";

/** Most ledger items kept in a placement: more than the machines of several runs. Older items have been released. */
const MOST_LEDGERS = 40;

export interface Offer {
  readonly grant: Grant;
  readonly machines: readonly Machine[];
  /** The known node groups of its machines, and that of its new ones if it names one. */
  readonly groups: readonly string[];
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
export async function findGrant(
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
  const { zone: awaited, group } = grant.shares.find((share) => share.node === null) ?? {};
  const endOf = (startsAt: number) => times.endsAt ?? startsAt + size.wantedMs;
  // As in the plan: new machines close earlier by their start-up time, and machines that exist do not.
  const closed = partsClosedTo(pool ?? {}, endOf(now + (growth?.startupMs ?? 0)));
  const closedNow = partsClosedTo(pool ?? {}, endOf(now));
  const isOpen = !makeable || isMadeOutside(closed, growth, { zone: awaited ?? ownZone, group }, now);
  if (!isOpen || pinned.some((node) => isInParts(closedNow, node))) return "closed";
  if (pinned.some((node) => currentInterruption(node, now))) return "closed";
  const zone = pinned[0]?.zone ?? awaited ?? null;
  // Nothing may close the machine that an interrupted run has left.
  const hasLeft = policy.onInterruption === "requeue" && starts > 0;
  const left = hasLeft ? run.machines.map(({ name }) => ({ node: name })) : [];
  const avoids = makeable && avoidable(ctx, size.pool, [...closed, ...left]);
  const groups = [...new Set([...pinned.map((node) => node.group), group].filter((name) => name !== undefined))];
  return { grant, machines: listMachines({ nodes }), groups, zone, avoids, startupMs: growth?.longestStartupMs };
}

/**
 * Returns the closed parts that a run without a machine can avoid. Karpenter, which may create the machines of types in
 * NODE_GROUPS, refuses pods whose affinity names nodes ("matchFields is not supported").
 */
function avoidable(ctx: WorkerContext, pool: string, closed: readonly PoolPart[]): readonly PoolPart[] | undefined {
  const parts = findGroup(ctx, pool) ? closed.filter(({ node }) => node === undefined) : closed;
  return parts.length > 0 ? parts : undefined;
}

/** Takes the grant in one conditional write that names it (docs/architecture/admission.md). */
export function takeGrant(environment: Environment, offer: Offer, now: number): Environment {
  const {
    grant: { id, shares, items },
    machines,
    groups,
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
  const text = `Capacity granted on ${listMachineNames(nodes)}${groupsText(groups)}`;
  return { ...enter(taken, "preparing", now, text), step, reason: null };
}

/** Returns the zone of the environment's own volumes, or null before they exist. */
export function findVolumesZone({ volumes }: Environment): string | null {
  return zonePinnedBy(volumes.find(({ volume }) => volume)?.volume);
}
