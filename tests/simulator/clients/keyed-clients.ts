import { requestCancel } from "#core/environments/verbs/actions.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { beginCreate, keepFailure, keepReply } from "#core/store/idempotency.ts";
import { newEnvironment } from "../../worlds/memory-world.ts";
import { asUser, type UserPorts } from "../planted/as-user.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import type { ClientAction } from "./clients.ts";

const MINUTE = 60_000;
const OWNER = "heidi";
const NAME = "keyed";
const request = { method: "POST", path: "/v1/jobs/submit", key: "key-1", body: "{}" };

/** Sends one create several times with one Idempotency-Key. It makes one environment, and each answer names it. */
export function keyedActions(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  const at = sim.time() + sim.random() * MINUTE;
  const ids = new Set<string>();
  const repeats = 2 + Math.floor(sim.random() * 3);
  const isBurst = sim.random() < 0.5;
  const actions: ClientAction[] = Array.from({ length: repeats }, () => ({
    at: at + sim.random() * (isBurst ? 200 : 2 * MINUTE),
    run: () => asUser(sim, world, OWNER, "submit under a key", (ctx) => submit(world, ctx, ids)),
  }));
  const ended = at + sim.random() * 4 * MINUTE;
  actions.push({
    at: ended,
    run: () => {
      for (const id of ids) asUser(sim, world, OWNER, `cancel ${id}`, (ctx) => requestCancel(ctx, id));
    },
  });
  return actions;
}

/** Repeats what the endpoint does (packages/http/request/idempotency.ts). */
async function submit(world: SimulatedWorld, ctx: UserPorts, ids: Set<string>): Promise<void> {
  const begun = await beginCreate(ctx, request, { id: ctx.ids.uuid4(), uid: ctx.ids.uid() });
  if (begun.kind === "otherRequest") throw new Error("A repeated request was refused as different");
  if (begun.kind === "replay") return answered(world, ids, (JSON.parse(begun.reply.text) as { id: string }).id);
  const { create, isRepeat } = begun;
  const { id, uid } = create.resource;
  try {
    await createEnvironment(ctx, { ...newEnvironment(id, { gpus: 1, hours: 0.03 }), name: NAME, uid, isRepeat });
  } catch (error) {
    await keepFailure(ctx, create, error);
    throw error;
  }
  await keepReply(ctx, create, { status: 200, text: JSON.stringify({ id }) });
  if (isRepeat) world.watch.reached.note("create repeated under its key");
  answered(world, ids, id);
}

function answered(world: SimulatedWorld, ids: Set<string>, id: string): void {
  ids.add(id);
  const made = [...world.watch.environments().values()].filter(({ name }) => name === NAME);
  const { violations } = world.watch;
  if (ids.size > 1) violations.push(`one key was answered with ${ids.size} environments`);
  if (made.length > 1) violations.push(`one key made ${made.length} environments`);
}
