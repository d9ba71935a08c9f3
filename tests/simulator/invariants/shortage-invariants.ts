import type { Environment, Withdrawn } from "#core/environments/record/record.ts";
import type { Grant, Holding } from "#core/pools/ledger/record.ts";
import type { MachineGroup } from "#core/ports/machine-groups.ts";
import { runName } from "../../fakes/memory-cluster.ts";
import type { PoolView } from "../../worlds/pool-view.ts";
import type { Reached } from "../reached.ts";
import { isBlamed } from "./capacity-invariants.ts";
import type { Calmness } from "./latency-invariants.ts";

/** Checks that jobs wait for machines that AWS lacks: no try counts, and tries follow each other with pauses. */
export interface ShortageWatch {
  /** Notes an observation of an unbound run, which may say what AWS lacks. */
  observed(uid: string, run: number, isLacking: boolean): void;
  /** Notes an answer of the provider. A lack that it no longer reports ends the pauses there. */
  listed(groups: readonly MachineGroup[]): void;
  wroteEnvironment(before: Environment, next: Environment): void;
  /** `fresh`: the grants that this write added. */
  wrotePool(before: PoolView | undefined, next: PoolView, fresh: readonly Grant[]): void;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** The pauses between tries of one zone, or of all zones (docs/architecture/capacity.md#no-machine-comes). */
const LEAST_PAUSE_MS = 3 * MINUTE;
const LONGEST_PAUSE_MS = 30 * MINUTE;
const LONGEST_PAUSE_WITH_CAUSE_MS = 12 * MINUTE;
const REMEMBERED_MS = 12 * HOUR;
/** Reconciles withdraw the grant at once. A few fail, or run at the same time. */
const MOST_SAID = 4;
const MANY_TRIES = 8;

interface Pause {
  readonly count: number;
  readonly until: number;
}

/** Key of the pause of all zones. */
const EVERYWHERE = "";

export function shortageWatch(options: {
  readonly environments: ReadonlyMap<string, Environment>;
  readonly violated: (text: string) => void;
  readonly reached: Reached;
  readonly now: () => number;
  readonly clocksMs: () => number;
  readonly maxQueueHours: number;
  readonly calmness: Calmness;
}): ShortageWatch {
  const { environments, violated, reached, now, clocksMs, calmness, maxQueueHours } = options;
  /** How many observations said what AWS lacks since the last fault, by run. */
  const said = new Map<string, number>();
  const pauses = new Map<string, Pause>();
  /** Zones where the provider's last answer reported a lack. */
  let reported: ReadonlySet<string> = new Set();

  /** Lists the try of a returned grant, if its new machine did not come. */
  function listFailedTries({ shares, uid, run }: Grant | Holding): Withdrawn[] {
    const { placement, phase, zone } = environments.get(uid) ?? {};
    const withdrawn = placement?.withdrawn;
    const open = shares.filter(({ node }) => node === null);
    // Another environment may have taken the id, and the record, of a deleted one.
    if (open.length === 0 || phase === "deleted" || withdrawn?.run !== run) return [];
    if (withdrawn.lacksMachine) return [withdrawn];
    // A machine that exists may have been at fault instead.
    const isLacking = said.has(runName(uid, run)) && open.length === shares.length;
    return isLacking ? [{ ...withdrawn, lacks: "machines", zone: open[0]?.zone ?? zone ?? undefined }] : [];
  }

  function noteFailedTry({ at, zone = EVERYWHERE, lacks }: Withdrawn): void {
    const before = pauses.get(zone);
    // Runs that return during a pause waited at the same time.
    if (before && at < before.until) return;
    // The report may have begun a pause itself, in which the try failed.
    if (reported.has(zone)) return;
    const count = before && at - before.until < REMEMBERED_MS ? before.count + 1 : 1;
    const longest = lacks ? LONGEST_PAUSE_WITH_CAUSE_MS : LONGEST_PAUSE_MS;
    pauses.set(zone, { count, until: at + Math.min(LEAST_PAUSE_MS * 2 ** (count - 1), longest) });
    if (count === MANY_TRIES) reached.note("eight tries in a row without a machine");
  }

  function checkTry({ uid, shares }: Grant): void {
    const { id, zone } = environments.get(uid) ?? {};
    for (const share of shares.filter(({ node }) => node === null)) {
      const zones = [EVERYWHERE, share.zone ?? zone ?? EVERYWHERE];
      const until = Math.max(...zones.map((name) => pauses.get(name)?.until ?? 0));
      if (now() < until - clocksMs())
        violated(`${id} was granted a new machine ${Math.round(until - now())} ms too soon`);
    }
  }

  function checkQueueLimit({ queuedAt, end: { outcome } }: Environment, { id, end }: Environment): void {
    if (outcome !== null || !/^Waited in the queue/.test(end.outcome?.reason ?? "")) return;
    const waitedMs = now() - queuedAt;
    if (waitedMs < maxQueueHours * HOUR - clocksMs()) violated(`${id} left the queue after ${Math.round(waitedMs)} ms`);
  }

  return {
    observed(uid, run, isLacking) {
      const name = runName(uid, run);
      const environment = environments.get(uid);
      if (!isLacking) {
        if (!environment?.run.withdrawing) said.delete(name);
        return;
      }
      const isKept = environment?.phase === "preparing" && environment.run.n === run && !environment.run.withdrawing;
      const isCalm = calmness.awake() >= calmness.calmSince();
      said.set(name, isKept && isCalm ? (said.get(name) ?? 0) + 1 : 0);
      if (said.get(name) === MOST_SAID) violated(`${environment?.id} still waits for a machine that AWS lacks`);
    },
    listed(groups) {
      const isWhole = groups.every(({ lacks, lacksIn }) => lacks !== undefined && lacksIn === undefined);
      const zones = new Set(groups.flatMap(({ zones, lacks, lacksIn = zones }) => (lacks ? lacksIn : [])));
      if (isWhole) zones.add(EVERYWHERE);
      for (const zone of reported) if (!zones.has(zone)) pauses.delete(zone);
      reported = zones;
    },
    wroteEnvironment(before, next) {
      const name = runName(before.uid, before.run.n);
      if (said.has(name) && isBlamed(before, next)) violated(`${next.id} was blamed although AWS lacked its machine`);
      checkQueueLimit(before, next);
      // It was bound after all.
      if (before.run.withdrawing && !next.run.withdrawing && before.run.n === next.run.n) said.delete(name);
    },
    wrotePool(before, next, fresh) {
      const left = new Set([...next.granted, ...next.held].map(({ id }) => id));
      const returned = [...(before?.granted ?? []), ...(before?.held ?? [])].filter(({ id }) => !left.has(id));
      const failed = returned.flatMap(listFailedTries).sort((a, b) => a.at - b.at);
      for (const failedTry of failed) noteFailedTry(failedTry);
      const there = new Set(before?.nodes.filter(({ gone }) => !gone).map(({ uid }) => uid));
      for (const { uid, gone, zone } of next.nodes) {
        if (gone || there.has(uid)) continue;
        pauses.delete(EVERYWHERE);
        pauses.delete(zone);
      }
      for (const grant of fresh) checkTry(grant);
    },
  };
}
