import type { Environment } from "../environments/record/record.ts";
import type { PortAnswer } from "../ports/compute.ts";
import { Conflict } from "../problem.ts";
import { requestReconcile } from "../reconciler/request-reconcile.ts";
import type { Step, WorkerContext } from "../reconciler/step.ts";
import { keyText } from "../store/keys.ts";
import { WrongSeal } from "../store/sealed.ts";
import { changeRecord, writeRecord } from "../store/write-record.ts";
import { findInbox } from "./inbox.ts";
import { findChatPort } from "./post.ts";
import { type Inbox, type Message, openPart, sealPart, settledAs } from "./record.ts";

/** Longer than a claiming worker can still post: step budget, post time-out and clock skew. */
const CLAIM_MS = 45_000;
/** docs/apis/session-manager.md#effects-and-times. */
const POST_MS = 5_000;
const LONGEST_WAIT_MS = 60_000;
/** Bytes before sealing, which adds a third. An item holds 400 kB (DynamoDB Developer Guide, ServiceQuotas). */
const LONGEST_REPLY = 256 * 1024;

/** Claims a message in the inbox before posting it: a repeated post would be visible to the environment. */
export function claimDelivery(environment: Environment, inbox: Inbox, message: Message, now: number): Step<Inbox> {
  const attempt = inbox.claims + 1;
  const claim = { n: message.n, attempt, until: now + CLAIM_MS };
  const record = { ...inbox, claim, claims: attempt, looks: 0, dueAt: claim.until };
  return { record, notify: [], log: "claimed", after: (ctx) => deliver(ctx, environment, record, message) };
}

async function deliver(ctx: WorkerContext, environment: Environment, inbox: Inbox, message: Message): Promise<void> {
  try {
    const said = await openText(ctx, message);
    const settled =
      said === undefined
        ? settledAs(message, "dropped", ctx.clock.now(), null)
        : await postText(ctx, environment, message, said);
    if (!(await writeRecord(ctx, settled))) throw new Conflict(`message ${message.n} of ${environment.uid}`);
  } catch (error) {
    const attempts = inbox.attempts + 1;
    const wait = Math.min(2 ** Math.min(attempts, 6) * 1000, LONGEST_WAIT_MS);
    await release(ctx, inbox, { attempts, fault: String(error).slice(0, 120), dueAt: ctx.clock.now() + wait });
    throw error;
  }
  await release(ctx, inbox, { settled: message.n, attempts: 0, fault: null, dueAt: ctx.clock.now() });
}

async function openText(ctx: WorkerContext, message: Message): Promise<string | undefined> {
  if (message.text === null) return undefined;
  try {
    return await openPart(ctx, message, "text", message.text);
  } catch (error) {
    if (!(error instanceof WrongSeal)) throw error;
    ctx.log.error("poisoned record", { look: keyText(message), why: error.message });
    return undefined;
  }
}

async function postText(
  ctx: WorkerContext,
  { uid, run: { n: run }, ports }: Environment,
  message: Message,
  said: string,
): Promise<Message> {
  const body = JSON.stringify({ message: said });
  const request = { port: findChatPort({ ports }) ?? 0, path: ctx.settings.messagePath, body, timeoutMs: POST_MS };
  const reply = findReply(await ctx.compute.postToPort(uid, run, request));
  const sealed = reply === null ? null : await sealPart(ctx, message, "reply", reply);
  return settledAs(message, "delivered", ctx.clock.now(), sealed);
}

function findReply({ status, body }: PortAnswer): string | null {
  if (status < 200 || status > 299) return null;
  try {
    const reply = JSON.stringify(JSON.parse(body));
    return new TextEncoder().encode(JSON.stringify(reply)).length <= LONGEST_REPLY ? reply : null;
  } catch {
    return null;
  }
}

/** Gives the claim back, so that the next reconcile need not wait for its end. A failure costs only that time. */
async function release(ctx: WorkerContext, claimed: Inbox, changes: Partial<Inbox>): Promise<void> {
  const { record } = await changeRecord(ctx, {
    read: () => findInbox(ctx, claimed.uid),
    decide(knownInbox): Inbox | undefined {
      const isOurs = knownInbox?.claim && knownInbox.claim.attempt === claimed.claim?.attempt;
      return isOurs ? { ...knownInbox, ...changes, claim: null } : undefined;
    },
    what: `The inbox of ${claimed.uid} is`,
  });
  if (record) await requestReconcile(ctx, record, { delayMs: (record.dueAt ?? 0) - ctx.clock.now() });
}
