import { newEnvironment } from "../../worlds/memory-world.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import { type ClientAction, submit } from "./clients.ts";

const MINUTE = 60_000;

/** Submits jobs of one user that fill the machines. */
export function crowd(
  sim: Scheduler,
  world: SimulatedWorld,
  jobs: {
    readonly count: number;
    readonly gpus: readonly number[];
    readonly latestMs: number;
    readonly mostMinutes: number;
  },
): ClientAction[] {
  const start = sim.time();
  return Array.from({ length: jobs.count }, (_, n) => {
    const at = start + sim.random() * jobs.latestMs;
    const hours = (1 + sim.random() * (jobs.mostMinutes - 1)) / 60;
    const job = newEnvironment(`beside-${n + 1}`, { gpus: sim.pick(jobs.gpus), hours });
    return { at, run: () => submit(sim, world, "grace", job) };
  });
}

/** Some of these jobs end before a block does, and some would outlive it. */
export const besideBlock = { count: 4, gpus: [4, 8], latestMs: 6 * MINUTE, mostMinutes: 10 } as const;

/** More than the machines that are there from the start can run. */
export const besideShortage = { count: 5, gpus: [8, 8, 16], latestMs: 8 * MINUTE, mostMinutes: 40 } as const;
