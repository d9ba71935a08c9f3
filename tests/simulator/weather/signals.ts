import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";

const LATEST_SECONDS = 60;

/** Forwards the cluster's watch events as hints. Faults lose, double or delay some. */
export function passOnSignals(
  sim: Scheduler,
  world: Pick<SimulatedWorld, "compute" | "queue" | "isDeaf" | "watch">,
): void {
  const { reached } = world.watch;
  for (const { key, uid, run } of world.compute.takeChanged()) {
    if (world.compute.isBoundInPart(uid, run)) reached.note("one of two machines bound, and the other not");
    const { loseSignal, doubleSignal, delaySignal } = sim.rates();
    const happens = (rate: number) => rate > 0 && sim.random() < rate;
    if (world.isDeaf || happens(loseSignal)) {
      sim.note(`lost: the signal that ${key} changed`);
      reached.note("a signal lost");
      continue;
    }
    const isLate = happens(delaySignal);
    const isDoubled = happens(doubleSignal);
    const options = isLate ? { delaySeconds: Math.ceil(sim.random() * LATEST_SECONDS) } : {};
    for (let times = isDoubled ? 2 : 1; times > 0; times--) {
      void world.queue.send("work", { look: key, hint: true }, options);
    }
    if (isLate) reached.note("a signal late");
    if (isDoubled) reached.note("a signal doubled");
  }
}
