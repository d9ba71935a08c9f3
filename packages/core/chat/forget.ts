import { Conflict } from "../problem.ts";
import type { Step, WorkerContext } from "../reconciler/step.ts";
import { chatKey, chatPartition } from "../store/keys.ts";
import { removeRecord, writeRecord } from "../store/write-record.ts";
import { type Inbox, parseUnlessPoisoned, settledAs } from "./record.ts";

const AT_ONCE = 25;
const KEPT_SECONDS = 24 * 3600;

export async function dropWaiting(ctx: WorkerContext, inbox: Inbox, now: number): Promise<Step<Inbox>> {
  const settled = Math.min(inbox.settled + AT_ONCE, inbox.dropTo);
  const keys = Array.from({ length: settled - inbox.settled }, (_, at) => chatKey(inbox.uid, settled - at));
  const messages = (await ctx.table.getMany(keys)).flatMap((item) => parseUnlessPoisoned(ctx, item) ?? []);
  const waiting = messages.filter(({ state }) => state === "waiting");
  const dropped = await Promise.all(
    waiting.map((message) => writeRecord(ctx, settledAs(message, "dropped", now, null))),
  );
  if (dropped.includes(undefined)) throw new Conflict(`messages of ${inbox.uid}`);
  const record = { ...inbox, settled, claim: null, attempts: 0, fault: null, looks: 0, dueAt: now };
  return { record, notify: [], log: "dropped" };
}

export async function forget(ctx: WorkerContext, inbox: Inbox, now: number): Promise<Step<Inbox>> {
  const { items } = await ctx.table.query({ pk: chatPartition(inbox.uid), limit: AT_ONCE });
  const removed = await Promise.all(items.map((item) => removeRecord(ctx, item)));
  if (removed.includes(false)) throw new Conflict(`messages of ${inbox.uid}`);
  const gone = { ...inbox, claim: null, attempts: 0, fault: null, looks: 0 };
  if (items.length > 0) return { record: { ...gone, dueAt: now }, notify: [], log: "forgets" };
  const ttl = Math.floor(now / 1000) + KEPT_SECONDS;
  return { record: { ...gone, ttl, dueAt: undefined }, notify: [], log: "forgot" };
}
