import type { Context } from "./context.ts";
import { dueShards } from "./due.ts";
import { keyOf } from "./environments/record/record.ts";
import { kindOfKey, outageKey } from "./keys.ts";
import { sendLook } from "./look.ts";
import type { Item, Stored } from "./ports/table.ts";
import { writeRecord } from "./write-record.ts";

/** The latest outage of the cluster. */
export interface Outage extends Stored {
  readonly kind: "outage";
  /** When its end was passed on; 0: none was yet. */
  readonly endedAt: number;
  /** Since when the listing of machines has failed; absent while it does not. */
  readonly since?: number | undefined;
}

/** The longest wait after a step that failed (reconcile.ts). */
const REACH_MS = 300_000;
/** An outage that ends sooner after the last one is left to the ordinary looks. */
const AGAIN_MS = 60_000;
/** So many records of a shard are read; those beyond are due in five minutes at most. */
const MOST_PER_SHARD = 200;
/** Hints go out this far apart, so that a cluster that is just back is not asked for everything at once. */
const PACE_MS = 10;

/** Notes that the machines could not be listed; `item`: the record of outages as it was read before. */
export async function noteOutage(ctx: Context<"table">, item: Item | undefined): Promise<void> {
  try {
    if (item?.since === undefined) await write(ctx, item, { endedAt: endedAtOf(item), since: ctx.clock.now() });
  } catch (error) {
    ctx.log.warn("outage not noted", { error: String(error) });
  }
}

/** Passes the end of an outage on that `noteOutage` noted, now that the machines were listed. */
export async function endNotedOutage(ctx: Context<"table" | "queue">, item: Item | undefined): Promise<void> {
  if (item?.since !== undefined) await passOn(ctx, item);
}

/**
 * Sends a hint to each environment whose last look the cluster did not answer: the cluster answers again. One caller does
 * this for all, by a conditional write.
 */
export async function passOnOutageEnd(ctx: Context<"table" | "queue">): Promise<void> {
  try {
    const item = await ctx.table.get(outageKey);
    if (Math.abs(ctx.clock.now() - endedAtOf(item)) >= AGAIN_MS) await passOn(ctx, item);
  } catch (error) {
    ctx.log.warn("end of an outage not passed on", { error: String(error) });
  }
}

/** A failure costs time alone: each record is due in five minutes at most. */
async function passOn(ctx: Context<"table" | "queue">, item: Item | undefined): Promise<void> {
  try {
    if (!(await write(ctx, item, { endedAt: ctx.clock.now() }))) return;
    const waiting = (await Promise.all(dueShards.map((shard) => listUnanswered(ctx, shard)))).flat();
    const send = (one: Item, place: number) => sendLook(ctx, keyOf(one), { isHint: true, delayMs: place * PACE_MS });
    await Promise.all(waiting.map(send));
    ctx.log.info("cluster answers again", { hints: waiting.length });
  } catch (error) {
    ctx.log.warn("end of an outage not passed on", { error: String(error) });
  }
}

async function write(
  ctx: Context<"table">,
  item: Item | undefined,
  outage: Pick<Outage, "endedAt" | "since">,
): Promise<boolean> {
  const next: Outage = { ...outageKey, kind: "outage", writers: item?.writers ?? [], ...outage };
  return (await writeRecord(ctx, next)) !== undefined;
}

function endedAtOf(item: Item | undefined): number {
  return typeof item?.endedAt === "number" ? item.endedAt : 0;
}

async function listUnanswered(ctx: Context<"table">, shard: string): Promise<Item[]> {
  const now = ctx.clock.now();
  const range = { from: now, to: now + REACH_MS, limit: MOST_PER_SHARD };
  const { items } = await ctx.table.query({ index: "due", partition: shard, ...range });
  const keys = items.filter((item) => kindOfKey(item) === "environment").map(keyOf);
  return keys.length === 0 ? [] : (await ctx.table.getMany(keys)).filter(isUnanswered);
}

function isUnanswered({ unseen }: Item): boolean {
  const { since, machine } = (unseen ?? {}) as { readonly since?: unknown; readonly machine?: unknown };
  return since !== undefined && machine === undefined;
}
