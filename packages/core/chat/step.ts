import type { Actor } from "../context.ts";
import { parseEnvironment } from "../environments/record/parse.ts";
import { type Environment, isEnded } from "../environments/record/record.ts";
import { requestStart } from "../environments/verbs/start.ts";
import type { Item } from "../ports/table.ts";
import { Conflict } from "../problem.ts";
import type { Step, WorkerContext } from "../reconciler/step.ts";
import { chatKey, chatPartition, keyOfText } from "../store/keys.ts";
import { removeRecord, writeRecord } from "../store/write-record.ts";
import { DAY_MS } from "../units.ts";
import { claimDelivery } from "./deliver.ts";
import { newestNumber, stillWaits } from "./inbox.ts";
import { type Inbox, parseInbox, parseUnlessPoisoned, settledAs } from "./record.ts";

/**
 * Delay while the environment starts. Must exceed the early tolerance (reconcile.ts), or duplicate reconciles never
 * end.
 */
const COMING_MS = 3_000;
/** Delay while the environment sleeps and must not be woken again; another request may start it. */
const ASLEEP_MS = 300_000;
/** Delays after the inbox is empty: a handler that was paused may have written an unanswered message since. */
const DRAINED_MS = [60_000, DAY_MS];

export async function stepInbox(ctx: WorkerContext, item: Item, now: number): Promise<Step<Inbox>> {
  const inbox = parseInbox(item);
  const environment = await findHead(ctx, inbox);
  if (!environment || isEnded(environment) || environment.end.outcome) return forget(ctx, inbox, now);
  if (inbox.claim && inbox.claim.until > now) return requeueAt(inbox, inbox.claim.until, "waits for its claim");
  if (inbox.dropTo > inbox.settled) return dropWaiting(ctx, inbox, now);
  const next = await findNext(ctx, inbox);
  if (!next) return drained(inbox, now);
  if (next === "removed") return passOver(inbox, now, "passed over, removed");
  const message = parseUnlessPoisoned(ctx, next);
  if (message?.state !== "waiting") return passOver(inbox, now, message?.state ?? "passed over, unreadable");
  if (environment.goal.desired === "stopped") {
    // Wake once per message. Otherwise an environment that cannot start would be started forever.
    if (environment.run.n > message.run) return requeueAt(inbox, now + ASLEEP_MS, "waits, asleep");
    const isWanted = async (knownEnvironment: Environment) =>
      knownEnvironment.uid === inbox.uid &&
      knownEnvironment.run.n <= message.run &&
      (await stillWaits(ctx, knownEnvironment, message.n));
    await requestStart(asOwner(ctx, environment), environment.id, {}, { onlyIf: isWanted });
    return requeueAt(inbox, now + COMING_MS, "woke its environment");
  }
  if (environment.phase !== "active") return requeueAt(inbox, now + COMING_MS, `waits, ${environment.phase}`);
  return claimDelivery(environment, inbox, message, now);
}

/** Returns `removed` if the message was settled without the inbox and has expired since. */
async function findNext(ctx: WorkerContext, inbox: Inbox): Promise<Item | "removed" | undefined> {
  const key = chatKey(inbox.uid, inbox.settled + 1);
  const first = await ctx.table.get(key);
  if (first) return first;
  if ((await newestNumber(ctx, inbox.uid, inbox)) <= inbox.settled) return undefined;
  // Numbers have no gaps, so this message was written before the newest, but perhaps after the first read.
  return (await ctx.table.get(key)) ?? "removed";
}

function passOver(inbox: Inbox, now: number, log: string): Step<Inbox> {
  const settled = inbox.settled + 1;
  const record = { ...inbox, settled, claim: null, attempts: 0, fault: null, looks: 0, dueAt: now };
  return { record, notify: [], log };
}

async function findHead(ctx: WorkerContext, inbox: Inbox): Promise<Environment | undefined> {
  const key = keyOfText(inbox.environment);
  const item = key && (await ctx.table.get(key));
  const environment = item && parseEnvironment(item);
  return environment?.uid === inbox.uid ? environment : undefined;
}

function drained(inbox: Inbox, now: number): Step<Inbox> {
  const wait = DRAINED_MS[Math.min(inbox.looks, DRAINED_MS.length - 1)] ?? 0;
  return requeueAt({ ...inbox, claim: null, attempts: 0, fault: null }, now + wait, "drained");
}

function requeueAt(inbox: Inbox, dueAt: number, log: string): Step<Inbox> {
  return { record: { ...inbox, looks: inbox.looks + 1, dueAt }, notify: [], log };
}

function asOwner(ctx: WorkerContext, { owner, createdBy }: Environment) {
  const actor: Actor = { uid: owner, username: "", number: 0, keyPrefix: "", keyHash: "", isAdmin: false };
  return { ...ctx, actor, dialect: createdBy, noun: "environment" };
}

const AT_ONCE = 25;
const KEPT_SECONDS = 24 * 3600;

async function dropWaiting(ctx: WorkerContext, inbox: Inbox, now: number): Promise<Step<Inbox>> {
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

async function forget(ctx: WorkerContext, inbox: Inbox, now: number): Promise<Step<Inbox>> {
  const { items } = await ctx.table.query({ pk: chatPartition(inbox.uid), limit: AT_ONCE });
  const removed = await Promise.all(items.map((item) => removeRecord(ctx, item)));
  if (removed.includes(false)) throw new Conflict(`messages of ${inbox.uid}`);
  const gone = { ...inbox, claim: null, attempts: 0, fault: null, looks: 0 };
  if (items.length > 0) return { record: { ...gone, dueAt: now }, notify: [], log: "forgets" };
  const ttl = Math.floor(now / 1000) + KEPT_SECONDS;
  return { record: { ...gone, ttl, dueAt: undefined }, notify: [], log: "forgot" };
}
