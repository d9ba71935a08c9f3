import type { Context, Item } from "../context.ts";
import type { Environment } from "../environments/record.ts";
import { planKey } from "../keys.ts";
import type { PlannerContext } from "../worker.ts";
import type { Advice } from "./decide.ts";
import type { Place } from "./plan.ts";
import type { Pool } from "./record.ts";

/** What one who waits is told. `place` undefined: the plan does not reach it. */
export interface Told {
  readonly place: Omit<Place, "uid"> | undefined;
  /** Whether there are more waiting than the plan reaches. */
  readonly farBack: boolean;
}

/**
 * Writes the plan for those who wait, as 16 items by the first digit of the uid, without a condition: it is advice,
 * the next plan replaces it. Only items that have or had somebody in them are written.
 */
export async function writeAdvice(
  ctx: PlannerContext,
  pool: Pool,
  advice: Advice,
  before: string,
  now: number,
): Promise<void> {
  const byDigit = new Map([...before, ...pool.advised].map((digit) => [digit, {} as Record<string, unknown[]>]));
  for (const { uid, position, startsAt, code, a, b } of advice.places) {
    const entries = byDigit.get(uid.slice(0, 1));
    if (entries) entries[uid] = [position, startsAt, code, a, b];
  }
  await Promise.all(
    [...byDigit].map(async ([digit, entries]) => {
      const { complete } = advice;
      const item = { ...planKey(pool.type, digit), writers: [], kind: "plan", at: now, complete, entries };
      await ctx.table.put(item);
    }),
  );
}

/** What the plan says to each of these that waits: one batch read for all of them. Keyed by uid. */
export async function readAdvice(
  ctx: Context<"table">,
  environments: readonly Environment[],
): Promise<ReadonlyMap<string, Told>> {
  const waiting = environments.filter((one) => one.phase === "queued" && one.outcome === null);
  const keys = new Map(waiting.map((one) => [planOf(one), planKey(one.size.pool, one.uid.slice(0, 1))]));
  if (keys.size === 0) return new Map();
  const items = await ctx.table.getMany([...keys.values()]);
  const plans = new Map(items.map((item) => [item.pk, item]));
  return new Map(waiting.map((one) => [one.uid, toldBy(plans.get(planOf(one)), one.uid)]));
}

function planOf(environment: Environment): string {
  return planKey(environment.size.pool, environment.uid.slice(0, 1)).pk;
}

function toldBy(item: Item | undefined, uid: string): Told {
  const entries = (item?.entries ?? {}) as Record<string, [number, number | null, Place["code"], number, number]>;
  const entry = Object.hasOwn(entries, uid) ? entries[uid] : undefined;
  if (!entry) return { place: undefined, farBack: item?.complete === false };
  const [position, startsAt, code, a, b] = entry;
  return { place: { position, startsAt, code, a, b }, farBack: false };
}
