import type { UserContext } from "#core/context.ts";
import { newActor } from "../../worlds/memory-world.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";

export type UserPorts = UserContext<"table" | "queue" | "sealer" | "volumes" | "compute">;

/** Starts a request of this user on a random host. Its failure affects nothing else. */
export function asUser(
  sim: Scheduler,
  world: SimulatedWorld,
  owner: string,
  label: string,
  request: (ctx: UserPorts) => Promise<unknown>,
): void {
  const host = sim.pick(world.hosts);
  const ctx = world.contexts.get(host);
  if (!ctx) return;
  const input = { ...ctx, actor: newActor(owner), dialect: "gpu-dev", noun: "job" };
  sim.start(host, `${owner}: ${label}`, () => logAnswer(sim, owner, label, request(input)), ignored);
}

async function logAnswer(sim: Scheduler, owner: string, label: string, answer: Promise<unknown>): Promise<void> {
  sim.tell(owner, `asks: ${label}`);
  try {
    await answer;
    sim.tell(owner, `is answered: ${label}`);
  } catch (error) {
    sim.tell(owner, `is refused: ${label}: ${error instanceof Error ? error.message : String(error)}`);
    throw error;
  }
}

function ignored(): void {}
