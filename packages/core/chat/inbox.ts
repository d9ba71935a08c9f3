import type { Context } from "../context.ts";
import { dueShardOf } from "../due.ts";
import type { Environment } from "../environments/record.ts";
import { chatOf, inboxKey, keyText } from "../keys.ts";
import { sendLook } from "../look.ts";
import { Problem } from "../problem.ts";
import { putIf } from "../put-if.ts";
import { type Inbox, parseInbox, parseMessage } from "./record.ts";

export async function findInbox(ctx: Context<"table">, uid: string): Promise<Inbox | undefined> {
  const item = await ctx.table.get(inboxKey(uid));
  return item && parseInbox(item);
}

/** The number of the newest message; 0 where none was ever posted. */
export async function newestNumber(ctx: Context<"table">, uid: string, inbox: Inbox | undefined): Promise<number> {
  const { items } = await ctx.table.query({ pk: chatOf(uid), newestFirst: true, limit: 1 });
  const newest = items[0] ? parseMessage(items[0]).n : 0;
  // What was settled long ago is not kept.
  return Math.max(newest, inbox?.settled ?? 0);
}

const TRIES = 8;

/**
 * Changes an inbox, which is made when there is none, in one write that makes it due now, and sends a look at it.
 * A change that answers undefined writes nothing.
 */
export async function changeInbox(
  ctx: Context<"table" | "queue">,
  environment: Pick<Environment, "pk" | "sk" | "uid" | "owner">,
  change: (inbox: Inbox) => Inbox | undefined,
): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    const known = await findInbox(ctx, environment.uid);
    const next = change(known ?? newInbox(ctx, environment));
    if (!next) return;
    const version = known?.version ?? 0;
    const written: Inbox = { ...next, version: version + 1, dueAt: ctx.clock.now(), looks: 0 };
    if (!(await putIf(ctx, written, version))) continue;
    await sendLook(ctx, written);
    return;
  }
  throw new Problem("unavailable", "Too many messages at once, try again", { retryAfterSeconds: 1 });
}

function newInbox(ctx: Context, environment: Pick<Environment, "pk" | "sk" | "uid" | "owner">): Inbox {
  const { uid, owner } = environment;
  const key = inboxKey(uid);
  return {
    ...key,
    version: 0,
    kind: "inbox",
    uid,
    owner,
    environment: keyText(environment),
    settled: 0,
    dropTo: 0,
    claim: null,
    claims: 0,
    looks: 0,
    attempts: 0,
    fault: null,
    dueShard: dueShardOf(ctx.ids, key),
  };
}
