import { zoneOfNewMachine } from "../../../pools/capacity/groups.ts";
import { readLedgerItems, wholeGrants } from "../../../pools/ledger/ledger.ts";
import { findPool, type Grant } from "../../../pools/ledger/record.ts";
import type { Look } from "../../../ports/queue.ts";
import { patienceMs } from "../../../reconciler/patience.ts";
import type { Step, WorkerContext } from "../../../reconciler/worker.ts";
import { isLedgerOf, keyText } from "../../../store/keys.ts";
import { closeActions } from "../../record/changes/actions.ts";
import { nextExtensionAt, showExtensions } from "../../record/changes/extensions.ts";
import { mayHaveWritten } from "../../record/disk/disk-use.ts";
import type { Outcome } from "../../record/end.ts";
import { type Environment, waitingFields } from "../../record/record.ts";
import type { Machine } from "../../record/run/machine.ts";
import { noRun } from "../../record/run/run-state.ts";
import { changed, lookAgainAt, tellingDisk, tellingPool } from "../../record/step-result.ts";
import { decideEnd, enter } from "../../record/transitions.ts";
import { endRun, stopping } from "../end/end-run.ts";
import { machinesOf } from "../lost-node.ts";
import { readyDisk, releaseUnused } from "./disk.ts";
import { lacksVolumes } from "./own-volumes.ts";

/** The pool looks at itself every minute, finds in the index who waits, and repeats what it granted. */
const KNOWN_MS = 300_000;
/**
 * The least while its disk is being backed up. More than a little early (reconcile.ts), or doubled looks would never
 * die out.
 */
const DISK_MS = 5_000;
/** It says so late a second time that it waits: the first message may be lost, and the index late. */
const UNKNOWN_MS = 5_000;
const FIRST_LOOKS = 0;
/** More than the machines of several runs: an item that named it longer ago has let it go since. */
const MOST_LEDGERS = 40;

/** Takes its grant if there is one, says to the pool that it waits if not, ends if it shall. */
export async function stepQueued(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
  message: Look,
): Promise<Step<Environment> | undefined> {
  if (environment.end.outcome) return endInQueue(ctx, environment, environment.end.outcome, now);
  const ready = await readyDisk(ctx, environment);
  if (ready.kind === "lost" || ready.kind === "missing") {
    // Who lost the disk to another was refused by the request itself; who has waited for it sees what became of that.
    const phase = ready.kind === "lost" ? "deleted" : "failed";
    return endInQueue(ctx, environment, { phase, reason: ready.reason, at: now }, now);
  }
  const extended = showExtensions(environment, now);
  const extensionAt = nextExtensionAt(extended);
  if (ready.kind === "waits") {
    const wait = Math.max(DISK_MS, patienceMs(now - environment.queuedAt));
    const step = lookAgainAt(
      outOfLine(extended, ready.reason),
      Math.min(now + wait, extensionAt),
      "waits for its disk",
    );
    // What was kept for it or given to it is another's now.
    return environment.waitPool === undefined ? step : tellingPool(step);
  }
  const pausesUntil = environment.placement.refusals?.until ?? 0;
  if (environment.waitPool === undefined && now < pausesUntil)
    return lookAgainAt(extended, Math.min(pausesUntil, extensionAt), "pauses");
  if (environment.waitPool === undefined) {
    const inLine = { ...extended, ...waitingFields(extended), zone: ready.zone, reason: null };
    return tellingPool(lookAgainAt(inLine, Math.min(now + UNKNOWN_MS, extensionAt), "stands in line"));
  }
  const grant = await findGrant(ctx, environment, message.for ?? [], now);
  if (grant) return tellingPool(changed(takeGrant(extended, grant, now), now, "took its grant"));

  if ((environment.dueAt ?? now) > now) return undefined;
  const wait = environment.looks > FIRST_LOOKS ? KNOWN_MS : UNKNOWN_MS;
  return tellingPool(lookAgainAt(extended, Math.min(now + wait, extensionAt), "waits"));
}

/** What it was granted, its machines where all of them are there already, and the zone of the first one. */
interface Offer {
  readonly grant: Grant;
  readonly machines: readonly Machine[];
  readonly zone: string | null;
}

/**
 * The grant that the ledger items hold which the look names, or the head where nobody named any for so long that it is
 * due. An operator who closed the pool since the grant was written finds that it is not taken: the head is read after the
 * items.
 */
async function findGrant(
  ctx: WorkerContext,
  { uid, run, size, dueAt }: Environment,
  named: readonly string[],
  now: number,
): Promise<Offer | undefined> {
  const inPool = named.filter((item) => isLedgerOf(size.pool, item));
  const isDue = (dueAt ?? now) <= now;
  const ledgers = inPool.length === 0 && isDue ? ((await findPool(ctx, size.pool))?.offered[uid] ?? []) : inPool;
  if (ledgers.length === 0) return undefined;
  const { records: items } = await readLedgerItems(ctx, ledgers);
  const grant = wholeGrants(items).find((one) => one.uid === uid && one.run === run.n);
  if (!grant || (await findPool(ctx, size.pool))?.closed) return undefined;
  const granted = grant.items.map((key) => items.find((item) => keyText(item) === key));
  const pinned = granted.filter((item) => item?.kind === "node");
  // What was granted otherwise moves to its machines once all of them are known.
  const nodes = pinned.length === granted.length ? pinned : [];
  const zone = granted[0]?.kind === "node" ? granted[0].zone : zoneOfNewMachine(ctx, size.pool);
  return { grant, machines: machinesOf({ nodes }), zone };
}

/**
 * Ends what waits for capacity and so holds none. With a disk the end is written first, by itself: who decided it may
 * have slept over a grant, and only that write shows it, before a running job's disk is given away.
 */
export async function endInQueue(
  ctx: WorkerContext,
  environment: Environment,
  outcome: Outcome,
  now: number,
): Promise<Step<Environment>> {
  if (endsAsOneThatRan(environment)) return tellingPool(stopping(decideEnd(environment, outcome), now));
  const decided = decideEnd(environment, outcome);
  if (environment.disk && !environment.end.outcome) return changed(decided, now, "decided its end");
  await releaseUnused(ctx, environment);
  const over = enter(decided, outcome.phase, now, outcome.reason);
  const ended = { ...over, end: { ...over.end, at: now } };
  const disk = ended.disk && { ...ended.disk, released: true };
  return tellingDisk(
    tellingPool(changed(closeActions({ ...ended, disk }, ["cancel", "extend"], now), now, outcome.phase)),
  );
}

/**
 * Its disk is still being backed up after the environment before it, or cannot be read: it is granted nothing until
 * then. Who leaves the line comes back to it under another number: a planner that saw it outside may drop its grant at
 * any later moment, so that grant must not be taken any more.
 */
function outOfLine(environment: Environment, reason: string): Environment {
  const run = environment.waitPool === undefined ? environment.run.n : environment.run.n + 1;
  return { ...environment, run: { ...environment.run, n: run }, waitPool: undefined, waitOrder: undefined, reason };
}

/** Its end is that of one that ran: something of its own is to be archived, backed up, removed or given back. */
function endsAsOneThatRan({ volumes, addressLabel, policy, disk }: Environment): boolean {
  return volumes.length > 0 || addressLabel !== null || policy.restarts || (disk !== null && mayHaveWritten(disk));
}

/** It may be started again: it is stopped with the reason. */
export function giveUp(environment: Environment, now: number, reason: string): Step<Environment> {
  return tellingPool(endRun(environment, now, reason));
}

/** The environment takes its grant itself, in one conditional write that names it (docs/architecture/admission.md). */
function takeGrant(environment: Environment, offer: Offer, now: number): Environment {
  const {
    grant: { id, shares, items },
    machines,
    zone,
  } = offer;
  const nodes = shares.map((share) => share.node ?? "a node still to be made");
  const ledgers = [...new Set([...items, ...environment.placement.ledgers])].slice(0, MOST_LEDGERS);
  const taken: Environment = {
    ...environment,
    run: { ...environment.run, grant: { id, shares, at: now }, machines, preparingAt: now, ...noRun },
    placement: { ...environment.placement, ledgers },
    unseen: environment.unseen && { ms: environment.unseen.ms, runMs: 0 },
    zone: environment.disk || environment.volumes.length > 0 ? (zone ?? environment.zone) : environment.zone,
  };
  const step = environment.disk || lacksVolumes(environment) ? "disk" : "pod";
  // The grant is said in the timeline; the record's reason is what holds it up from here on.
  return { ...enter(taken, "preparing", now, `Capacity granted on ${nodes.join(", ")}`), step, reason: null };
}
