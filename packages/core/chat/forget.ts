import { chatKey, chatOf } from "../keys.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { type Inbox, parseMessage, settledAs } from "./record.ts";

/** Messages settled or removed in one step. */
const AT_ONCE = 25;
const KEPT_SECONDS = 24 * 3600;

/** Settles the messages that are not to be delivered any more; one that was delivered meanwhile stays delivered. */
export async function dropWaiting(ctx: WorkerContext, inbox: Inbox, now: number): Promise<Step<Inbox>> {
  const settled = Math.min(inbox.settled + AT_ONCE, inbox.dropTo);
  const keys = Array.from({ length: settled - inbox.settled }, (_, at) => chatKey(inbox.uid, settled - at));
  const messages = (await ctx.table.getMany(keys)).map(parseMessage);
  const waiting = messages.filter(({ state }) => state === "waiting");
  await Promise.all(
    waiting.map((message) => ctx.table.put(settledAs(message, "dropped", now, null), { ifVersion: message.version })),
  );
  const record = { ...inbox, settled, claim: null, attempts: 0, fault: null, looks: 0, dueAt: now };
  return { record, sends: [], did: "dropped" };
}

/** Its environment has ended: nothing of what was said is kept. */
export async function forget(ctx: WorkerContext, inbox: Inbox, now: number): Promise<Step<Inbox>> {
  const { items } = await ctx.table.query({ pk: chatOf(inbox.uid), limit: AT_ONCE });
  await Promise.all(items.map((item) => ctx.table.remove(item, { ifVersion: item.version })));
  const gone = { ...inbox, claim: null, attempts: 0, fault: null, looks: 0 };
  if (items.length > 0) return { record: { ...gone, dueAt: now }, sends: [], did: "forgets" };
  const ttl = Math.floor(now / 1000) + KEPT_SECONDS;
  return { record: { ...gone, ttl, dueAt: undefined }, sends: [], did: "forgot" };
}
