import { dropMessages } from "#core/chat/drop.ts";
import { postMessage } from "#core/chat/post.ts";
import { reservation } from "#core/environments/record/policy.ts";
import { getEnvironment } from "#core/environments/record/read.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { requestDelete } from "#core/environments/verbs/delete.ts";
import { requestStart } from "#core/environments/verbs/start.ts";
import { requestStop } from "#core/environments/verbs/stop.ts";
import { newActor, newEnvironment } from "../../worlds/memory-world.ts";
import { asUser, type UserPorts } from "../planted/as-user.ts";
import { calm, type Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import type { ClientAction } from "./clients.ts";

const MINUTE = 60_000;
const OWNER = "frank";
export const TALKING = "talks";
/** Faults end after 8 minutes (schedule.ts). Existing claims and late indexes may take two more. */
const ACTIVE_SINCE_MS = 9 * MINUTE;
const JUDGED_MS = 13 * MINUTE;

/** A user talks to an environment, and puts it to sleep and wakes it. Each message arrives in order or is dropped. */
export function chatActions(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  const start = sim.time();
  const said: string[] = [];
  const at = (least: number, most: number) => start + (least + sim.random() * (most - least)) * MINUTE;
  const ask = (when: number, label: string, request: (ctx: UserPorts) => Promise<unknown>): ClientAction => ({
    at: when,
    run: () => asUser(sim, world, OWNER, label, request),
  });
  const created = at(0, 1);
  const actions = [
    ask(created, "create", async (ctx) => {
      await createEnvironment(ctx, talking());
    }),
  ];
  const count = 2 + Math.floor(sim.random() * 6);
  const burst = at(0.2, 5);
  for (let n = 1; n <= count; n++) {
    const when = sim.random() < 0.5 ? burst + sim.random() * 3_000 : at(0.2, 6);
    actions.push(
      ask(when, `say ${n}`, async (ctx) => {
        await postMessage(ctx, TALKING, `m${n}`);
        // A frozen host answers late, so its message may be on its way during the judgement.
        if (sim.time() < start + ACTIVE_SINCE_MS) said.push(`m${n}`);
      }),
    );
  }
  for (let naps = Math.floor(sim.random() * 3); naps > 0; naps--) {
    actions.push(ask(at(1, 5), "sleep", sleep));
    actions.push(ask(at(1, 6), "wake", (ctx) => requestStart(ctx, TALKING)));
  }
  actions.push({ at: start + JUDGED_MS, run: () => judge(sim, world, said, start) });
  // Repeats the deletion until it succeeds.
  for (let more = 0; more < 4; more++) {
    actions.push(ask(start + JUDGED_MS + (0.1 + more) * MINUTE, "delete", (ctx) => requestDelete(ctx, TALKING)));
  }
  return actions;
}

function talking() {
  return {
    ...newEnvironment(TALKING, { gpus: 1, hours: 0.1 }),
    policy: { ...reservation, time: "none", restarts: true } as const,
    ports: [{ port: 8080, kind: "http" } as const],
  };
}

async function sleep(ctx: UserPorts): Promise<void> {
  await dropMessages(ctx, await getEnvironment(ctx, TALKING));
  await requestStop(ctx, TALKING);
}

/** Checks that no answered message still waits in an environment that has been active for long. */
function judge(sim: Scheduler, world: SimulatedWorld, said: readonly string[], start: number): void {
  const frank = newActor(OWNER).uid;
  const environment = [...world.watch.environments().values()].find(({ owner }) => owner === frank);
  if (environment?.phase !== "active" || sim.rates() !== calm) return;
  if ((environment.run.startedAt ?? sim.time()) > start + ACTIVE_SINCE_MS) return;
  // Messages wait while their machine is dead but not yet known as dead.
  if (environment.run.machines.some(({ uid }) => world.compute.isMachineGone(uid))) return;
  for (const [n, text] of world.watch.chat.waiting(environment.uid)) {
    if (said.includes(text)) world.watch.violations.push(`message ${n} was answered and never delivered`);
  }
}
