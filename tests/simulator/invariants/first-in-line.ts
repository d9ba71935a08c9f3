import { type Environment, isEnded } from "#core/environments/record/record.ts";
import type { Scheduler } from "../scheduler.ts";
import { type GroupState, hasStarted } from "../weather/node-group.ts";
import type { SimulatedWorld } from "../world.ts";

const MINUTE = 60_000;
const POOL = "h100";
/** The longest pause between tries: if the cluster says what AWS lacks, and otherwise. */
const LONGEST_PAUSE_MS = { said: 12 * MINUTE, silent: 30 * MINUTE } as const;
/** The end of a try that still waits for its machine, late sweeps, and a plan. */
const MORE_MS = 6 * MINUTE;

/**
 * Checks that the first in line is granted a machine within a pause after its zone has some again. Returns the check to
 * run at each step.
 */
export function firstInLine(sim: Scheduler, world: SimulatedWorld): () => void {
  const { group } = world;
  if (!group || group.name !== undefined) return () => undefined;
  const longest = LONGEST_PAUSE_MS[group.saysLacks ? "said" : "silent"] + MORE_MS;
  let waiting: { readonly uid: string; readonly since: number } | undefined;
  return () => {
    const first = findFirst(world);
    if (!first || !mayStart(world, group, first, sim.time())) {
      waiting = undefined;
      return;
    }
    if (waiting?.uid !== first.uid) waiting = { uid: first.uid, since: sim.awake() };
    const ms = sim.awake() - Math.max(waiting.since, sim.calmSince());
    if (ms <= longest) return;
    world.watch.violated(`${first.id} is first in line, and got no machine for ${Math.round(ms)} ms`);
  };
}

function findFirst({ watch }: SimulatedWorld): Environment | undefined {
  const first = watch.living().get(watch.pools().get(POOL)?.head?.uid ?? "");
  return first?.phase === "queued" && first.waitPool !== undefined && !isEnded(first) ? first : undefined;
}

/** Reports whether the group can create all machines of the environment in one zone, and no operator closed the pool. */
function mayStart({ watch, nodeCount }: SimulatedWorld, group: GroupState, first: Environment, now: number): boolean {
  const pool = watch.pools().get(POOL);
  if (!pool || pool.closed || pool.drained || pool.plannedDrains) return false;
  if (group.listed?.some((each) => !hasStarted(each, now))) return false;
  const zones = [...group.zones].filter(([zone, at]) => at <= now && (first.zone ?? zone) === zone);
  const present = pool.nodes.filter(({ gone }) => !gone).length;
  const expected = [...pool.granted, ...pool.held]
    .filter(({ uid }) => watch.living().get(uid)?.run.machines.length === 0)
    .flatMap(({ shares }) => shares.filter(({ node }) => node === null)).length;
  const toMake = Math.min(nodeCount + group.most - present, group.most - group.joins.size - group.idle.size);
  return zones.length > 0 && toMake - expected >= first.size.machines;
}
