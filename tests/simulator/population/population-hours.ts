import { instanceTypeOfPool } from "#core/fleet.ts";
import type { PoolNode } from "#core/pools/ledger/record.ts";
import type { Agenda } from "../agenda.ts";
import { calm, type FaultRates, type Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Time to recover after a bad hour. */
const RECOVERY_MS = HOUR;
const HOURS_PER_BAD_ONE = 14;

/** Faults in every hour, as in a busy week of a real deployment. */
const mild: FaultRates = {
  crash: 1e-5,
  freeze: 1e-5,
  sleepBeforeMaking: 1e-4,
  late: 1e-4,
  errorBefore: 1e-4,
  errorAfter: 5e-5,
  dropSend: 3e-4,
  doubleSend: 1e-3,
  ownRepeated: 5e-5,
  blind: 5e-5,
  throttle: 1e-4,
  loseSignal: 1e-2,
  doubleSignal: 1e-2,
  delaySignal: 1e-2,
};

export const badHours = ["cluster away", "table throttled", "machines lost", "sweeps skipped", "hosts crash"] as const;
export type BadHour = (typeof badHours)[number];

export interface Hours {
  /** Reports whether only mild faults happened for long enough. Then everything must be prompt. */
  isQuiet(now: number): boolean;
  /** Returns the end of the latest bad hour and its recovery. */
  quietSince(now: number): number;
  readonly skipsSweeps: (now: number) => boolean;
  readonly bad: readonly { readonly kind: BadHour; readonly from: number; readonly until: number }[];
  /** Ends all faults. */
  end(): void;
}

/** Chooses the bad hours and adds them to the agenda. */
export function newHours(sim: Scheduler, world: SimulatedWorld, agenda: Agenda, lasts: number): Hours {
  const start = sim.time();
  const count = Math.max(1, Math.round(lasts / HOUR / HOURS_PER_BAD_ONE));
  const first = Math.floor(sim.random() * badHours.length);
  const bad = Array.from({ length: count }, (_, n) => {
    const kind = badHours[(first + n) % badHours.length] as BadHour;
    const stretch = lasts / count;
    const from = start + n * stretch + sim.random() * Math.max(0, stretch - 2 * HOUR - RECOVERY_MS) + HOUR;
    const until = from + (0.4 + 0.6 * sim.random()) * HOUR;
    return { kind, from, until };
  });
  sim.setRates(mild);
  for (const { kind, from, until } of bad) {
    agenda.at(from, () => {
      sim.tell("weather", `${kind} for ${Math.round((until - from) / MINUTE)} minutes`);
      begin(sim, world, agenda, kind, until);
    });
    agenda.at(until, () => sim.setRates(mild));
  }
  const isIn = (now: number) => bad.find(({ from, until }) => from <= now && now < until + RECOVERY_MS);
  return {
    bad,
    isQuiet: (now) => isIn(now) === undefined,
    quietSince: (now) => bad.reduce((at, entry) => (entry.from <= now ? entry.until + RECOVERY_MS : at), start),
    skipsSweeps: (now) => isIn(now)?.kind === "sweeps skipped" && now < (isIn(now)?.until ?? 0),
    end: () => sim.setRates(calm),
  };
}

function begin(sim: Scheduler, world: SimulatedWorld, agenda: Agenda, kind: BadHour, until: number): void {
  const rates: Partial<Record<BadHour, FaultRates>> = {
    "table throttled": { ...mild, throttle: 0.2, errorBefore: 0.02, errorAfter: 0.01, late: 0.05 },
    "sweeps skipped": { ...mild, dropSend: 0.05 },
    "hosts crash": { ...mild, crash: 2e-3, freeze: 1e-3, sleepBeforeMaking: 0.01 },
  };
  sim.setRates(rates[kind] ?? mild);
  if (kind === "cluster away") world.away.set("cluster", until);
  if (kind === "machines lost") loseMachines(sim, world, agenda, until);
}

/** Loses one machine in ten, at least one. Some are silent for a while, others are replaced later. */
function loseMachines(sim: Scheduler, world: SimulatedWorld, agenda: Agenda, until: number): void {
  const present = [...world.watch.pools().values()].flatMap(({ nodes }) =>
    nodes.filter(({ ready, gone }) => ready && !gone),
  );
  const gpu = present.filter(({ type }) => type !== "cpu-shared");
  for (let left = Math.max(1, Math.round(gpu.length / 10)); left > 0 && gpu.length > 0; left--) {
    const node = gpu.splice(Math.floor(sim.random() * gpu.length), 1)[0];
    if (!node) return;
    sim.tell("weather", `${node.name} does not answer`);
    world.compute.loseNode(node.name);
    if (sim.random() < 0.5) {
      agenda.at(until, () => world.compute.returnNode(node.name));
      continue;
    }
    world.compute.setMachine(node.uid, "gone");
    agenda.at(sim.time() + 3 * MINUTE, () => world.compute.removeNode(node.name));
    agenda.at(sim.time() + (5 + sim.random() * 20) * MINUTE, () => join(world, node, sim.time()));
  }
}

/** Adds a machine like the lost one. */
function join(world: SimulatedWorld, { type, zone, units, name }: PoolNode & { type: string }, at: number): void {
  const called = `${name.replace(/-since-.*/, "")}-since-${Math.round(at)}`;
  world.compute.setNode({
    name: called,
    uid: `node-${called}`,
    providerId: `memory:///${zone}/${called}`,
    instanceType: instanceTypeOfPool(type).name,
    zone,
    ready: true,
    units,
    foreignUnits: 0,
  });
}
