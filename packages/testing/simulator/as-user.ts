import type { UserContext } from "#core/context.ts";
import { actorOf } from "../memory-world.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimulatedWorld } from "./world.ts";

/** What a client's request is given. */
export type Asked = UserContext<"table" | "queue" | "sealer" | "volumes">;

/** Begins a request of this user on any of the hosts; how it ends is nobody's concern but its own. */
export function asUser(
  sim: Scheduler,
  world: SimulatedWorld,
  owner: string,
  label: string,
  request: (ctx: Asked) => Promise<unknown>,
): void {
  const host = sim.pick(world.hosts);
  const ctx = world.contexts.get(host);
  if (!ctx) return;
  sim.start(
    host,
    `${owner}: ${label}`,
    async () => void (await request({ ...ctx, actor: actorOf(owner), dialect: "gpu-dev", noun: "job" })),
    () => undefined,
  );
}
