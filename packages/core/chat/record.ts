import type { Context } from "../context.ts";
import type { Item, Stored } from "../ports/table.ts";
import { chatKey, inboxKey, keyOfText, keyText, kindOfKey } from "../store/keys.ts";
import type { Sealed } from "../store/sealed.ts";
import { branded, count, number, oneOf, optional, ordinal, orNull, shape, text, uid } from "../store/shape.ts";
import { parserOf, Unreadable } from "../store/unreadable.ts";

/** Which chat message of an environment is delivered next: the one item that decides it. Times are ms. */
export interface Inbox extends Stored {
  readonly kind: "inbox";
  /** The uid of the environment. */
  readonly uid: string;
  readonly owner: string;
  /** The key of the environment's record in a message. */
  readonly environment: string;
  /** Messages up to this number were delivered or dropped. */
  readonly settled: number;
  /** Messages up to this number are not to be delivered any more. */
  readonly dropTo: number;
  /** Somebody posts message `n`; nobody else does before `until` (docs/architecture/consistency.md#claims). */
  readonly claim: { readonly n: number; readonly attempt: number; readonly until: number } | null;
  /** How many claims there were: it tells one from the next. */
  readonly claims: number;
  /** Looks since something was last delivered, dropped or posted. */
  readonly looks: number;
  /** Failures in a row. */
  readonly attempts: number;
  readonly fault: string | null;
  readonly dueShard: string;
  readonly dueAt?: number | undefined;
  /** Seconds since the epoch. */
  readonly ttl?: number | undefined;
}

/** One chat message: written once when it is posted and once when it is settled. */
export interface Message extends Stored {
  readonly kind: "message";
  /** The uid of the environment. */
  readonly uid: string;
  /** Without gaps from 1. */
  readonly n: number;
  readonly at: number;
  /** The latest run that its environment had been asked for. */
  readonly run: number;
  readonly state: "waiting" | "delivered" | "dropped";
  /** null once it is settled: nobody needs it any more. */
  readonly text: Sealed | null;
  /** What the environment answered, as JSON; null when that was no JSON, or an error. */
  readonly reply: Sealed | null;
  /** Seconds since the epoch; set once it is settled. */
  readonly ttl?: number | undefined;
}

/** How long a settled message can still be asked for. */
const KEPT_SECONDS = 24 * 3600;

/** The message as it stays once nothing will be done with it; its text is forgotten. */
export function settledAs(
  message: Message,
  state: "delivered" | "dropped",
  now: number,
  reply: Sealed | null,
): Message {
  const ttl = Math.floor(now / 1000) + KEPT_SECONDS;
  return { ...message, state, text: null, reply, ttl };
}

/** Throws `Unreadable` for anything that this version did not write. */
export const parseInbox: (item: Item) => Inbox = parserOf(
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
    "its key is another's": ({ pk, uid: own }) => pk === inboxKey(own).pk,
    "it belongs to no environment": ({ environment }) => {
      const key = keyOfText(environment);
      return key !== undefined && kindOfKey(key) === "environment";
    },
  },
);

/** Throws `Unreadable` for anything that this version did not write. */
export const parseMessage: (item: Item) => Message = parserOf(
  "message",
  {
    uid,
    n: ordinal,
    at: number,
    run: ordinal,
    state: oneOf("waiting", "delivered", "dropped"),
    text: orNull(branded<Sealed>()),
    reply: orNull(branded<Sealed>()),
    ttl: optional(number),
  },
  {
    "its key is another's": ({ sk, uid: of, n }) => sk === chatKey(of, n).sk,
    "there is nothing to deliver": ({ state, text: said }) => state !== "waiting" || said !== null,
  },
);

/**
 * The message, or undefined where nobody can read it, which is logged: nothing waits for that one. Throws `Unreadable`
 * for one of a newer version, which waits for a newer worker.
 */
export function parseUnlessPoisoned({ log }: Context, item: Item): Message | undefined {
  try {
    return parseMessage(item);
  } catch (error) {
    if (!(error instanceof Unreadable) || error.isNewer) throw error;
    log.error("poisoned record", { look: keyText(item), why: error.message });
    return undefined;
  }
}

/** The message of this number, or undefined when none was posted yet. */
export async function findMessage(ctx: Context<"table">, uid: string, n: number): Promise<Message | undefined> {
  const item = await ctx.table.get(chatKey(uid, n));
  return item && parseMessage(item);
}
