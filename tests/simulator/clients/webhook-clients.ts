import { requestCancel } from "#core/environments/verbs/actions.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { newEnvironment } from "../../worlds/memory-world.ts";
import { asUser, type UserPorts } from "../planted/as-user.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import type { ClientAction } from "./clients.ts";
import { receivers } from "./fake-receivers.ts";

const MINUTE = 60_000;
const OWNER = "grace";

export function webhookActions(sim: Scheduler, world: SimulatedWorld, count: number): ClientAction[] {
  const start = sim.time();
  const actions: ClientAction[] = [];
  for (let n = 1; n <= count; n++) {
    const [receiver, url] = sim.pick(Object.entries(receivers));
    const id = `told-${n}`;
    const input = { ...newEnvironment(id, { gpus: 1, hours: 0.02 }), labels: { receiver }, receiver: url };
    const at = start + sim.random() * 2 * MINUTE;
    actions.push(ask(sim, world, at, `submit ${id}`, (ctx) => createEnvironment(ctx, input)));
    if (sim.random() < 0.4) {
      const later = at + sim.random() * 2 * MINUTE;
      actions.push(ask(sim, world, later, `cancel ${id}`, (ctx) => requestCancel(ctx, id)));
    }
  }
  return actions;
}

function ask(
  sim: Scheduler,
  world: SimulatedWorld,
  at: number,
  label: string,
  request: (ctx: UserPorts) => Promise<unknown>,
): ClientAction {
  return { at, run: () => asUser(sim, world, OWNER, label, request) };
}
