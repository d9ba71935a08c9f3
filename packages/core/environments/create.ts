import type { Key, UserContext } from "../context.ts";
import { dueShardOf } from "../due.ts";
import { environmentKey, keyText, poolKey, specKey } from "../keys.ts";
import { sendLook } from "../look.ts";
import { type Environment, type EnvironmentSpec, type Size, waitingFields } from "./record.ts";
import { addEntry } from "./timeline.ts";

export interface NewEnvironment {
  /** The wire id, chosen by the dialect; unique for this owner and dialect. */
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly size: Size;
  readonly image: string;
  readonly command: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

/** If the message is lost, this record asks its pool by itself when the sweep finds it due. */
const NET_MS = 10_000;

/**
 * Writes spec, then head, and sends one look at the pool that names it (design section 3, admission).
 * Throws `Conflict` when the id is taken.
 */
export async function createEnvironment(
  ctx: UserContext<"table" | "queue" | "sealer">,
  input: NewEnvironment,
): Promise<Environment> {
  const key = environmentKey(ctx.actor.uid, ctx.dialect, input.id);
  const head = newHead(ctx, key, input);
  const spec = specKey(key);
  const secret = JSON.stringify({ command: input.command, env: input.env });
  const written: EnvironmentSpec = {
    ...spec,
    version: 1,
    kind: "spec",
    uid: head.uid,
    image: input.image,
    sealed: await ctx.sealer.seal(secret, keyText(spec)),
  };
  await ctx.table.put(written, { ifVersion: 0 });
  await ctx.table.put(head, { ifVersion: 0 });
  await sendLook(ctx, poolKey(input.size.pool), { for: [keyText(key)] });
  return head;
}

function newHead(ctx: UserContext, key: Key, input: NewEnvironment): Environment {
  const now = ctx.clock.now();
  const uid = ctx.ids.uid();
  const head: Environment = {
    ...key,
    ...waitingFields({ size: input.size, createdAt: now, uid }),
    version: 1,
    kind: "environment",
    uid,
    owner: ctx.actor.uid,
    id: input.id,
    createdBy: ctx.dialect,
    name: input.name,
    labels: input.labels,
    desired: "active",
    outcome: null,
    phase: "queued",
    step: null,
    reason: null,
    run: 1,
    size: input.size,
    zone: null,
    hasCommand: input.command !== undefined,
    createdAt: now,
    preparingAt: null,
    startedAt: null,
    endsAt: null,
    endedAt: null,
    grant: null,
    appliedAt: null,
    withdrawing: false,
    withdrawn: null,
    withdrawals: 0,
    address: null,
    isolation: null,
    actions: [],
    actionCount: 1,
    timeline: [],
    timelineCount: 0,
    emitted: 0,
    warnedMinutes: null,
    looks: 0,
    cleanSince: null,
    cleanLooks: 0,
    attempts: 0,
    fault: null,
    dueShard: dueShardOf(ctx.ids, key),
    dueAt: now + NET_MS,
  };
  return addEntry(head, now, null);
}
