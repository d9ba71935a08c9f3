import type { Context } from "../../context.ts";
import { Conflict } from "../../problem.ts";
import { getDueShard } from "../../store/due.ts";
import { supersededKey } from "../../store/keys.ts";
import { readable } from "../../store/readable.ts";
import type { Sealed } from "../../store/sealed.ts";
import { writeRecord } from "../../store/write-record.ts";
import { openReceiver, sealReceiver } from "../../webhooks/receiver.ts";
import { parseEnvironment } from "../record/parse.ts";
import { type Environment, toKey } from "../record/record.ts";
import { decideEnd, enter } from "../record/transitions.ts";
import { holdsNothing } from "./start.ts";

/**
 * Replaces a deleted environment with this id by a new head. The old head moves to another key for its last reconciles.
 * Returns undefined if the item is another one or unreadable.
 */
export async function replaceSuperseded(
  ctx: Context<"table" | "sealer">,
  head: Environment,
): Promise<Environment | undefined> {
  for (let tries = 0; tries < TRIES; tries++) {
    const item = await ctx.table.get(toKey(head));
    if (!item) throw new Conflict(`superseded ${head.uid}`);
    const [superseded] = readable(ctx, [item], parseEnvironment);
    if (!superseded || superseded.uid === head.uid || !(superseded.phase === "deleted" || holdsNothing(superseded)))
      return undefined;
    await writeRecord(ctx, await asSuperseded(ctx, superseded));
    const replaced = await writeRecord(ctx, { ...head, writers: superseded.writers });
    if (replaced) return replaced;
  }
  return undefined;
}

/** A write may lose to reconciles after the end, which leave the id free. */
const TRIES = 3;

async function asSuperseded(ctx: Context<"table" | "sealer">, superseded: Environment): Promise<Environment> {
  const now = ctx.clock.now();
  const key = supersededKey(superseded, superseded.uid);
  const { always, run } = superseded.events.receiver;
  const receiver = { always: await resealed(ctx, superseded, always), run: await resealed(ctx, superseded, run) };
  const moved: Environment = {
    ...superseded,
    ...key,
    writers: [],
    events: { ...superseded.events, receiver },
    dueShard: getDueShard(ctx.ids, key),
  };
  if (superseded.phase === "deleted") return moved;
  const over = decideEnd(moved, { phase: "deleted", reason: null, at: now });
  return { ...enter(over, "deleted", now, "Made anew"), dueAt: now };
}

async function resealed(
  ctx: Context<"sealer">,
  superseded: Environment,
  receiver: Sealed | null,
): Promise<Sealed | null> {
  if (receiver === null) return null;
  return sealReceiver(
    ctx,
    supersededKey(superseded, superseded.uid),
    await openReceiver(ctx, toKey(superseded), receiver),
  );
}
