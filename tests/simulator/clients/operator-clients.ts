import { endRecord } from "#core/admin/end-record.ts";
import { compareOrphans } from "#core/admin/orphans.ts";
import type { Context } from "#core/context.ts";
import { drainPool, pauseAdmission } from "#core/pools/admission/admission.ts";
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
  const close = sim.random() < 0.5 ? "drain" : "pause";
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
