import type { Context } from "../context.ts";
import type { Item, Key, Stored } from "../ports/table.ts";
import { chatKey, inboxKey, keyOfText, keyText, kindOfKey } from "../store/keys.ts";
import type { Sealed } from "../store/sealed.ts";
import { branded, count, literal, number, optional, ordinal, orNull, shape, text, uid } from "../store/shape.ts";
import { createParser, Unreadable } from "../store/unreadable.ts";

/** The item that decides which chat message of an environment is delivered next. Times are ms. */
export interface Inbox extends Stored {
  readonly kind: "inbox";
  readonly uid: string;
  readonly owner: string;
  readonly environment: string;
  /** Messages up to this number were delivered or dropped. */
  readonly settled: number;
  /** Waiting messages up to this number are to be dropped. */
  readonly dropTo: number;
  /** A worker posts message `n`; no other worker posts before `until` (docs/architecture/consistency.md#claims). */
  readonly claim: { readonly n: number; readonly attempt: number; readonly until: number } | null;
  /** Number of claims so far; identifies the present one. */
  readonly claims: number;
  readonly looks: number;
  readonly attempts: number;
  readonly fault: string | null;
  readonly dueShard: string;
  readonly dueAt?: number | undefined;
  readonly ttl?: number | undefined;
}

export interface Message extends Stored {
  readonly kind: "message";
  readonly uid: string;
  /** Number from 1, without gaps. */
  readonly n: number;
  readonly at: number;
  /** Latest requested run of the environment when the message was posted. */
  readonly run: number;
  readonly state: "waiting" | "delivered" | "dropped";
  readonly text: Sealed | null;
  readonly reply: Sealed | null;
  readonly ttl?: number | undefined;
}

const KEPT_SECONDS = 24 * 3600;

export function settledAs(
  message: Message,
  state: "delivered" | "dropped",
  now: number,
  reply: Sealed | null,
): Message {
  const ttl = Math.floor(now / 1000) + KEPT_SECONDS;
  return { ...message, state, text: null, reply, ttl };
}

export const parseInbox: (item: Item) => Inbox = createParser(
  "inbox",
  {
    uid,
    owner: text,
    environment: text,
    settled: count,
    dropTo: count,
    claim: orNull(shape<NonNullable<Inbox["claim"]>>({ n: ordinal, attempt: ordinal, until: number })),
    claims: count,
    looks: count,
    attempts: count,
    fault: orNull(text),
    dueShard: text,
    dueAt: optional(number),
    ttl: optional(number),
  },
  {
    "its key does not match its fields": ({ pk, uid: inboxUid }) => pk === inboxKey(inboxUid).pk,
    "it belongs to no environment": ({ environment }) => {
      const key = keyOfText(environment);
      return key !== undefined && kindOfKey(key) === "environment";
    },
  },
);

export const parseMessage: (item: Item) => Message = createParser(
  "message",
  {
    uid,
    n: ordinal,
    at: number,
    run: ordinal,
    state: literal("waiting", "delivered", "dropped"),
    text: orNull(branded<Sealed>()),
    reply: orNull(branded<Sealed>()),
    ttl: optional(number),
  },
  {
    "its key does not match its fields": ({ sk, uid: of, n }) => sk === chatKey(of, n).sk,
    "there is nothing to deliver": ({ state, text: said }) => state !== "waiting" || said !== null,
  },
);

/** Returns undefined and logs an unreadable message. Throws `Unreadable` for a message of a newer version. */
export function parseUnlessPoisoned({ log }: Context, item: Item): Message | undefined {
  try {
    return parseMessage(item);
  } catch (error) {
    if (!(error instanceof Unreadable) || error.isNewer) throw error;
    log.error("poisoned record", { look: keyText(item), why: error.message });
    return undefined;
  }
}

export async function findMessage(ctx: Context<"table">, uid: string, n: number): Promise<Message | undefined> {
  const item = await ctx.table.get(chatKey(uid, n));
  return item && parseMessage(item);
}

type Part = "text" | "reply";

/** Seals the text or the reply of a message. The seal opens for this part of this message only. */
export function sealPart({ sealer }: Context<"sealer">, message: Key, part: Part, text: string): Promise<Sealed> {
  return sealer.seal(text, formatContext(message, part));
}

export function openPart({ sealer }: Context<"sealer">, message: Key, part: Part, sealed: Sealed): Promise<string> {
  return sealer.open(sealed, formatContext(message, part));
}

function formatContext(message: Key, part: Part): string {
  return `${keyText(message)}#${part}`;
}
