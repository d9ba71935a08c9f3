import type { Context } from "../context.ts";
import type { Environment } from "../environments/record/record.ts";
import { requestReconcile } from "../reconciler/request-reconcile.ts";
import { getDueShard } from "../store/due.ts";
import { chatPartition, inboxKey, keyText } from "../store/keys.ts";
import { changeRecord } from "../store/write-record.ts";
import { type Inbox, parseInbox } from "./record.ts";

export async function findInbox(ctx: Context<"table">, uid: string): Promise<Inbox | undefined> {
  const item = await ctx.table.get(inboxKey(uid));
  return item && parseInbox(item);
}

/** Returns the number of the newest message, which may be unreadable; 0 if there was none. */
export async function newestNumber(ctx: Context<"table">, uid: string, inbox: Inbox | undefined): Promise<number> {
  const { items } = await ctx.table.query({ pk: chatPartition(uid), newestFirst: true, limit: 1 });
  const newest = Number(items[0]?.sk ?? 0);
  // Settled messages expire, but their numbers stay in use.
  return Math.max(newest, inbox?.settled ?? 0);
}

/** Reports whether this message still waits. Stopping drops messages first, so a wake-up checks this last. */
export async function stillWaits(
  ctx: Context<"table">,
  { uid }: Pick<Environment, "uid">,
  n: number,
): Promise<boolean> {
  const inbox = await findInbox(ctx, uid);
  return inbox !== undefined && n > Math.max(inbox.settled, inbox.dropTo);
}

const TRIES = 8;

/**
 * Changes or creates the inbox, makes it due now and requests a reconcile. Writes nothing if `change` returns
 * undefined.
 */
export async function changeInbox(
  ctx: Context<"table" | "queue">,
  environment: Pick<Environment, "pk" | "sk" | "uid" | "owner">,
  change: (inbox: Inbox) => Inbox | undefined,
): Promise<void> {
  const { record } = await changeRecord(ctx, {
    read: async () => (await findInbox(ctx, environment.uid)) ?? newInbox(ctx, environment),
    decide(inbox): Inbox | undefined {
      const next = change(inbox);
      return next && { ...next, dueAt: ctx.clock.now(), looks: 0 };
    },
    what: "The list of messages is",
    tries: TRIES,
  });
  if (record) await requestReconcile(ctx, record);
}

export function isNew(inbox: Inbox): boolean {
  return inbox.writers.length === 0;
}

function newInbox(ctx: Context, environment: Pick<Environment, "pk" | "sk" | "uid" | "owner">): Inbox {
  const { uid, owner } = environment;
  const key = inboxKey(uid);
  return {
    ...key,
    writers: [],
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
    dueShard: getDueShard(ctx.ids, key),
  };
}
