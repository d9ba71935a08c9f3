import { endRecord } from "#core/admin/end-record.ts";
import { compareOrphans } from "#core/admin/orphans.ts";
import type { Context } from "#core/context.ts";
import { drainPool, pauseAdmission } from "#core/pools/admission/admission.ts";
import { planDrain, undrainPart } from "#core/pools/admission/drain-part.ts";
import type { PoolPart } from "#core/ports/compute.ts";
import type { Key } from "#core/ports/table.ts";
import { keyText } from "#core/store/keys.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import type { ClientAction } from "./clients.ts";

const MINUTE = 60_000;
const POOL = "h100";
/** Faults end after 8 minutes (schedule.ts). A frozen host returns up to 12 minutes later. */
const OPENED_MS = [9 * MINUTE, 10 * MINUTE, 21 * MINUTE];

type Ask = (
  when: number,
  label: string,
  request: (ctx: Context<"table" | "queue" | "compute" | "volumes">) => Promise<unknown>,
) => ClientAction;

export function operatorActions(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  const start = sim.time();
  const at = (most: number) => start + sim.random() * most * MINUTE;
  const ask = getAsk(sim, world);
  let asks = 0;
  const kind = sim.random();
  if (kind >= 0.4 && kind < 0.5) return planActions(sim, world);
  const close = kind < 0.5 ? "drain" : "pause";
  // The state is unknown while another request is in progress. A closed pool must grant nothing new.
  const set = (when: number, isClosed: boolean) =>
    ask(when, isClosed ? close : `undo ${close}`, async (ctx) => {
      world.watch.setClosed(false);
      const input = ++asks;
      if (close === "drain") await drainPool(ctx, POOL, isClosed);
      else await pauseAdmission(ctx, isClosed);
      if (isClosed && input === asks) world.watch.setClosed(true);
      world.watch.reached.note(isClosed ? "pool closed" : "pool opened again");
    });
  const closed = at(4);
  const actions = [
    set(closed, true),
    set(closed + sim.random() * 3 * MINUTE, false),
    // Repeats the opening until it succeeds.
    ...OPENED_MS.map((late) => set(start + late, false)),
  ];
  for (let n = Math.floor(sim.random() * 9); n > 0; n--) actions.push(ask(at(9), "compare orphans", compareOrphans));
  return actions;
}

const PARTS: readonly PoolPart[] = [{}, { zone: "zone-a" }, { node: "h100-1" }];

/** Plans a drain while jobs come, and drops it, whether its time has come or not. */
function planActions(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  const start = sim.time();
  const ask = getAsk(sim, world);
  const part = sim.pick(PARTS);
  const note = { by: "operator", reason: null };
  const aheadMs = (1 + sim.random() * 4) * MINUTE;
  let asks = 0;
  const plan = ask(start + sim.random() * 3 * MINUTE, "plan a drain", async (ctx) => {
    world.watch.setPlanned(undefined);
    const input = ++asks;
    const from = ctx.clock.now() + aheadMs;
    await planDrain(ctx, POOL, part, { ...note, from });
    if (input === asks) world.watch.setPlanned({ ...part, from });
    world.watch.reached.note("a drain planned");
  });
  const undo = (when: number) =>
    ask(when, "undrain", async (ctx) => {
      world.watch.setPlanned(undefined);
      asks++;
      if (part.zone === undefined && part.node === undefined) await drainPool(ctx, POOL, false);
      else await undrainPart(ctx, POOL, part);
      world.watch.reached.note("a planned drain dropped");
    });
  return [plan, undo(start + (4 + sim.random() * 4) * MINUTE), ...OPENED_MS.map((late) => undo(start + late))];
}

export function endByForce(sim: Scheduler, world: SimulatedWorld, record: Key): void {
  const end = async (ctx: Context<"table" | "queue">) => {
    await endRecord(ctx, keyText(record));
    world.watch.reached.note("an unreadable record ended by force");
  };
  getAsk(sim, world)(sim.time(), `records/end ${keyText(record)}`, end).run();
}

export function compareNow(sim: Scheduler, world: SimulatedWorld): void {
  getAsk(sim, world)(sim.time(), "compare orphans", compareOrphans).run();
}

function getAsk(sim: Scheduler, world: SimulatedWorld): Ask {
  return (when, label, request) => ({
    at: when,
    run() {
      const host = sim.pick(world.hosts);
      const ctx = world.contexts.get(host);
      if (!ctx) return;
      sim.tell("operator", `asks: ${label}`);
      sim.start(
        host,
        `operator: ${label}`,
        async () => void (await request(ctx)),
        () => undefined,
      );
    },
  });
}
