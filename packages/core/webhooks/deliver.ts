import type { Context } from "../context.ts";
import { openJupyter } from "../environments/record/changes/access.ts";
import type { ReconcileRequest } from "../ports/queue.ts";
import type { Item, Key } from "../ports/table.ts";
import { clampDueAt } from "../reconciler/clamp-due.ts";
import { quarantine } from "../reconciler/quarantine.ts";
import { requestReconcile, SWEEP_REACH_MS } from "../reconciler/request-reconcile.ts";
import { EARLY_MS, earlyBy, type Reading, requeueEarly, retryOnConflict } from "../reconciler/retry-on-conflict.ts";
import { keyOfText, keyText, kindOfKey } from "../store/keys.ts";
import { Unreadable } from "../store/unreadable.ts";
import { changeRecord, removeRecord, writeRecord } from "../store/write-record.ts";
import { findUser } from "../users/record.ts";
import { afterAttempt, PATIENCE_MS, postAttempt, type Result, SERIES_MS } from "./attempt.ts";
import { checkCircuit, receiverStateKey, tellAnswered, tellFailed } from "./circuit.ts";
import { type Delivery, ended, parseDelivery } from "./delivery.ts";
import { type FormatBody, formatEventId } from "./event.ts";
import { openReceiver } from "./receiver.ts";
import { chargeReceiverTime, reserveReceiverTime } from "./share.ts";

/** The ports that deliveries use. They never touch the cluster or an environment's record. */
export type DelivererContext = Context<"table" | "queue" | "sealer" | "fetch">;

/**
 * Makes at most one attempt, claimed first (docs/architecture/consistency.md#claims). If a write loses, the reconcile
 * starts over, since the decision to post depends on its read. Throws only when the table cannot be reached.
 */
export async function deliver(ctx: DelivererContext, message: ReconcileRequest, findBody: FormatBody): Promise<void> {
  const key = keyOfText(message.look);
  if (!key || kindOfKey(key) !== "delivery") {
    ctx.log.error("message names no delivery", { look: message.look.slice(0, 200) });
    return;
  }
  await retryOnConflict(ctx, key, {}, () => deliverOnce(ctx, key, findBody));
}

/** How long a claim lasts: a post begins within 12 s and ends after 10 s, and clocks may be 17 s apart. */
const CLAIM_MS = 45_000;
/** No post begins later than this after the read. */
const LATEST_POST_MS = 12_000;
/** The result of a post that began longer ago is not reported to the receiver's circuit. */
const REPORT_WITHIN_MS = 20_000;
/** Deliveries to one receiver are spread over this time. */
const SPREAD_MS = 60_000;
/** Delay of a delivery that cannot be opened or rendered. */
const FAULT_MS = 300_000;

async function deliverOnce(ctx: DelivererContext, key: Key, findBody: FormatBody): Promise<Reading> {
  const readAt = ctx.clock.monotonic();
  const storedItem = await ctx.table.get(key);
  if (!storedItem) return "over";
  const now = ctx.clock.now();
  const item = clampDueAt(ctx, storedItem, now);
  const early = earlyBy(item, now);
  if (early > 0) return requeueEarly(ctx, key, early);
  try {
    return (await step(ctx, parseDelivery(item), findBody, { now, readAt })) ? "over" : "again";
  } catch (error) {
    if (!(error instanceof Unreadable) || error.item !== item) throw error;
    const putOff = quarantine(ctx, error, now);
    return putOff === undefined || (await writeRecord(ctx, putOff)) ? "over" : "again";
  }
}

interface ReadTimes {
  readonly now: number;
  /** Monotonic. */
  readonly readAt: number;
}

/** Returns false if another worker wrote the delivery in between. */
async function step(ctx: DelivererContext, delivery: Delivery, findBody: FormatBody, at: ReadTimes): Promise<boolean> {
  const { now } = at;
  if (delivery.state !== "waiting") return drop(ctx, delivery);
  if (delivery.claim) return write(ctx, afterAttempt(delivery, ...interrupted(delivery.claim), now), now);
  if (now - delivery.seriesAt > SERIES_MS) return write(ctx, ended(delivery, "given_up", now), now);
  const opened = await open(ctx, delivery, findBody);
  if (opened === "unsendable") return write(ctx, { ...delivery, dueAt: now + FAULT_MS }, now);
  if (opened === "unwanted") return drop(ctx, delivery);
  const receiver = receiverStateKey(ctx, delivery.owner, opened.url);
  const check = await checkCircuit(ctx, receiver, now);
  if (check.may === "wait") return write(ctx, { ...delivery, dueAt: afterOthers(ctx, delivery, check.until) }, now);
  // Reserve before claiming the probe, so that a claimed probe never waits for the owner's share.
  const share = await reserveReceiverTime(ctx, delivery.owner, now);
  if (share.may === "wait") return write(ctx, { ...delivery, dueAt: afterOthers(ctx, delivery, share.until) }, now);
  const verdict = check.may === "probe" ? await check.claim() : check;
  if (verdict.may === "wait") {
    await chargeReceiverTime(ctx, delivery.owner, { reservedMs: share.reservedMs, tookMs: 0 }, now);
    return write(ctx, { ...delivery, dueAt: afterOthers(ctx, delivery, verdict.until) }, now);
  }
  const claimed = await claim(ctx, delivery, opened.body, now);
  if (!claimed) return false;
  if (ctx.clock.monotonic() - at.readAt > LATEST_POST_MS) return true;
  const begun = ctx.clock.monotonic();
  const result = await postAttempt(ctx, { id: formatEventId(delivery), url: opened.url, body: opened.body });
  // The worker may have been paused, so charge at most the time-out.
  const tookMs = Math.min(ctx.clock.monotonic() - begun, PATIENCE_MS);
  await keepResult(ctx, claimed, result);
  if (ctx.clock.monotonic() - begun <= REPORT_WITHIN_MS) {
    if (result.isFinal) await tellAnswered(ctx, receiver, ctx.clock.now());
    else await tellFailed(ctx, receiver, { tookMs, wasProbe: verdict.may === "probe" }, ctx.clock.now());
  }
  await chargeReceiverTime(ctx, delivery.owner, { reservedMs: share.reservedMs, tookMs }, ctx.clock.now());
  return true;
}

/** Returns a time after the probe has its result, spread by key and late enough not to count as early. */
function afterOthers(ctx: DelivererContext, { sk }: Delivery, until: number): number {
  return until + 2 * EARLY_MS + (Number.parseInt(ctx.ids.hash(sk).slice(0, 8), 16) % SPREAD_MS);
}

/** The worker that claimed this attempt recorded no result. The post may have arrived; receivers ignore repeats. */
function interrupted({ attempt, at }: NonNullable<Delivery["claim"]>) {
  const result: Result = { status: null, error: "interrupted", retryAfterMs: null, isFinal: false };
  return [{ n: attempt, at, status: null, error: result.error }, result] as const;
}

interface Opened {
  readonly url: string;
  readonly body: string;
}

/** Returns URL and body. The first attempt renders the body; later attempts send the same bytes. */
async function open(
  ctx: DelivererContext,
  delivery: Delivery,
  findBody: FormatBody,
): Promise<Opened | "unwanted" | "unsendable"> {
  try {
    const { entry, previous, environment } = delivery;
    const url = await openReceiver(ctx, environment, delivery.receiver);
    if (delivery.body) return { url, body: await ctx.sealer.open(delivery.body, keyText(delivery)) };
    const [jupyter, user] = await Promise.all([openJupyter(ctx, environment), findUser(ctx, delivery.owner)]);
    const username = user?.username ?? null;
    const { settings } = ctx;
    const body = findBody({ id: formatEventId(delivery), entry, previous, environment, username, jupyter, settings });
    return body ? { url, body: JSON.stringify(body) } : "unwanted";
  } catch (error) {
    ctx.log.error("delivery cannot be sent", { look: keyText(delivery), error: String(error) });
    return "unsendable";
  }
}

function drop(ctx: DelivererContext, delivery: Delivery): Promise<boolean> {
  return removeRecord(ctx, delivery);
}

async function claim(
  ctx: DelivererContext,
  delivery: Delivery,
  body: string,
  now: number,
): Promise<Delivery | undefined> {
  const attempt = delivery.attemptCount + 1;
  const until = now + CLAIM_MS;
  const claimed: Delivery = {
    ...delivery,
    body: delivery.body ?? (await ctx.sealer.seal(body, keyText(delivery))),
    attemptCount: attempt,
    claim: { attempt, at: now, until },
    dueAt: until,
  };
  return writeRecord(ctx, claimed);
}

/** Records the result, even if a resend was requested in between, but only while the claim is still ours. */
async function keepResult(ctx: DelivererContext, claimed: Delivery, result: Result): Promise<void> {
  const { claim: ownClaim } = claimed;
  let first: Delivery | undefined = claimed;
  const { record } = await changeRecord(ctx, {
    async read() {
      const item = first ?? (await ctx.table.get(claimed));
      first = undefined;
      return item && parseDelivery(item as Item);
    },
    decide(current): Delivery | undefined {
      if (!ownClaim || current?.claim?.attempt !== ownClaim.attempt) return undefined;
      const { status, error } = result;
      const attempt = { n: ownClaim.attempt, at: ownClaim.at, status, error };
      return afterAttempt(current, attempt, result, ctx.clock.now());
    },
    what: "The delivery is",
  });
  if (record) await sendNext(ctx, record, ctx.clock.now());
}

async function write(ctx: DelivererContext, delivery: Delivery, now: number): Promise<boolean> {
  if (!(await writeRecord(ctx, delivery))) return false;
  await sendNext(ctx, delivery, now);
  return true;
}

async function sendNext(ctx: DelivererContext, delivery: Delivery, now: number): Promise<void> {
  const { state, attemptCount, environment } = delivery;
  ctx.log.info("delivery", { look: keyText(delivery), uid: environment.uid, state, attempts: attemptCount });
  const wait = (delivery.dueAt ?? Number.POSITIVE_INFINITY) - now;
  if (wait <= SWEEP_REACH_MS) await requestReconcile(ctx, delivery, { delayMs: wait });
}
