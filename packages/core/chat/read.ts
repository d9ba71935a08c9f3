import type { Context } from "../context.ts";
import type { Environment } from "../environments/record/record.ts";
import { unlessUnreadable } from "../readable.ts";
import { findInbox, newestNumber } from "./inbox.ts";
import { findMessage, type Message } from "./record.ts";

/** What became of a message. */
export interface MessageStatus {
  readonly state: Message["state"];
  /** JSON that the environment answered with; null where it answered something else, or an error. */
  readonly reply: unknown;
}

/** What became of a message that was posted; undefined when it is not known any more. */
export async function readMessage(ctx: Context<"table">, uid: string, n: number): Promise<MessageStatus | undefined> {
  const message = await findMessage(ctx, uid, n);
  return message && { state: message.state, reply: message.reply === null ? null : JSON.parse(message.reply) };
}

/** How many messages wait to be delivered: 0 where nobody can read that, which is logged. */
export async function countWaiting(ctx: Context<"table">, { uid }: Pick<Environment, "uid">): Promise<number> {
  const inbox = await unlessUnreadable(ctx, () => findInbox(ctx, uid));
  if (!inbox) return 0;
  return (await newestNumber(ctx, uid, inbox)) - Math.max(inbox.settled, inbox.dropTo);
}
