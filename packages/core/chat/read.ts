import type { Context } from "../context.ts";
import type { Environment } from "../environments/record/record.ts";
import { unlessUnreadable } from "../store/readable.ts";
import { type Sealed, WrongSeal } from "../store/sealed.ts";
import { findInbox, newestNumber } from "./inbox.ts";
import type { Posted } from "./post.ts";
import { findMessage, type Message, openPart } from "./record.ts";

export interface MessageStatus {
  readonly state: Message["state"];
  readonly isAnswered: boolean;
  readonly reply: unknown;
}

/** Returns the status of a message; undefined once it has expired. */
export async function readMessage(
  ctx: Context<"table" | "sealer">,
  uid: string,
  n: number,
): Promise<MessageStatus | undefined> {
  const message = await findMessage(ctx, uid, n);
  // DynamoDB removes expired items late.
  const isOver = message?.ttl !== undefined && message.ttl * 1000 <= ctx.clock.now();
  if (!message || isOver) return undefined;
  const reply = message.reply === null ? undefined : await openReply(ctx, message, message.reply);
  return {
    state: message.state,
    isAnswered: reply !== undefined,
    reply: reply === undefined ? null : JSON.parse(reply),
  };
}

export async function wasPosted(ctx: Context<"table">, uid: string, n: number): Promise<boolean> {
  return n <= (await newestNumber(ctx, uid, await findInbox(ctx, uid)));
}

/** Returns undefined if the seal does not open: the reply was changed, or sealed with another key. */
async function openReply(ctx: Context<"sealer">, message: Message, reply: Sealed): Promise<string | undefined> {
  try {
    return await openPart(ctx, message, "reply", reply);
  } catch (error) {
    if (error instanceof WrongSeal) return undefined;
    throw error;
  }
}

export async function countWaiting(ctx: Context<"table">, { uid }: Pick<Environment, "uid">): Promise<number> {
  const inbox = await unlessUnreadable(ctx, () => findInbox(ctx, uid));
  if (!inbox) return 0;
  return (await newestNumber(ctx, uid, inbox)) - Math.max(inbox.settled, inbox.dropTo);
}

const FIRST_POLL_MS = 25;
const SLOWEST_POLL_MS = 250;

export async function waitForDelivery(
  ctx: Context<"table" | "sealer">,
  { uid, n }: Posted,
  budgetMs: number,
): Promise<MessageStatus | undefined> {
  const begun = ctx.clock.monotonic();
  for (let wait = FIRST_POLL_MS; ; wait = Math.min(wait * 2, SLOWEST_POLL_MS)) {
    await ctx.clock.sleep(wait);
    const status = await readMessage(ctx, uid, n);
    const left = budgetMs - (ctx.clock.monotonic() - begun);
    if (status?.state !== "waiting" || left < SLOWEST_POLL_MS) return status;
  }
}
