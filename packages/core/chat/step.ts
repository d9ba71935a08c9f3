import type { Actor } from "../context.ts";
import { parseEnvironment } from "../environments/record/parse.ts";
import { type Environment, isEnded } from "../environments/record/record.ts";
import { requestStart } from "../environments/verbs/start.ts";
import type { Item } from "../ports/table.ts";
import type { Step, WorkerContext } from "../reconciler/worker.ts";
import { chatKey, keyOfText } from "../store/keys.ts";
import { DAY_MS } from "../units.ts";
import { claimDelivery } from "./deliver.ts";
import { dropWaiting, forget } from "./forget.ts";
import { newestNumber, stillWaits } from "./inbox.ts";
import { type Inbox, parseInbox, parseUnlessPoisoned } from "./record.ts";

/** While it is on its way to be active. More than a little early (reconcile.ts), or doubled looks would never die out. */
const COMING_MS = 3_000;
/** While it sleeps and nothing wakes it: somebody else may. */
const ASLEEP_MS = 300_000;
/** A handler that slept may have put a message after this look: it is not answered for, and yet not to be left behind. */
const DRAINED_MS = [60_000, DAY_MS];

/** The one next step of an inbox: the first waiting message claimed, its environment woken, or nothing left to do. */
export async function stepInbox(ctx: WorkerContext, item: Item, now: number): Promise<Step<Inbox>> {
  const inbox = parseInbox(item);
  const environment = await findHead(ctx, inbox);
  if (!environment || isEnded(environment) || environment.end.outcome) return forget(ctx, inbox, now);
  if (inbox.claim && inbox.claim.until > now) return lookAgainAt(inbox, inbox.claim.until, "waits for its claim");
  if (inbox.dropTo > inbox.settled) return dropWaiting(ctx, inbox, now);
  const next = await findNext(ctx, inbox);
  if (!next) return drained(inbox, now);
  if (next === "removed") return passOver(inbox, now, "passed over, removed");
  const message = parseUnlessPoisoned(ctx, next);
  if (message?.state !== "waiting") return passOver(inbox, now, message?.state ?? "passed over, unreadable");
  if (environment.goal.desired === "stopped") {
    // Woken once for each message, or what cannot start would be started for ever.
    if (environment.run.n > message.run) return lookAgainAt(inbox, now + ASLEEP_MS, "waits, asleep");
    const isWanted = async (known: Environment) =>
      known.uid === inbox.uid && known.run.n <= message.run && (await stillWaits(ctx, known, message.n));
    await requestStart(asOwner(ctx, environment), environment.id, {}, { onlyIf: isWanted });
    return lookAgainAt(inbox, now + COMING_MS, "woke its environment");
  }
  if (environment.phase !== "active") return lookAgainAt(inbox, now + COMING_MS, `waits, ${environment.phase}`);
  return claimDelivery(environment, inbox, message, now);
}

/** `removed`: it was settled unknown to the inbox, so long ago that the store no longer keeps it. */
async function findNext(ctx: WorkerContext, inbox: Inbox): Promise<Item | "removed" | undefined> {
  const key = chatKey(inbox.uid, inbox.settled + 1);
  const first = await ctx.table.get(key);
  if (first) return first;
  if ((await newestNumber(ctx, inbox.uid, inbox)) <= inbox.settled) return undefined;
  // Numbers have no gaps: where there is a later one, this one was put before that was read, and perhaps after `first`.
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
  return lookAgainAt({ ...inbox, claim: null, attempts: 0, fault: null }, now + wait, "drained");
}

function lookAgainAt(inbox: Inbox, dueAt: number, log: string): Step<Inbox> {
  return { record: { ...inbox, looks: inbox.looks + 1, dueAt }, notify: [], log };
}

/** Its owner asked for the delivery: what follows from that is done in his name. */
function asOwner(ctx: WorkerContext, { owner, createdBy }: Environment) {
  const actor: Actor = { uid: owner, username: "", number: 0, keyPrefix: "", keyHash: "", isAdmin: false };
  return { ...ctx, actor, dialect: createdBy, noun: "environment" };
}
