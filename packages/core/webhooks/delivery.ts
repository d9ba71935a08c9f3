import { environmentTable, isSize, timelineEntry } from "../environments/record/parse.ts";
import type { Environment } from "../environments/record/record.ts";
import type { TimelineEntry } from "../environments/record/timeline.ts";
import type { Ids } from "../ports/ids.ts";
import type { Item, Key, Stored } from "../ports/table.ts";
import { deliveryShardOf } from "../store/due.ts";
import { deliveryKey } from "../store/keys.ts";
import type { Sealed } from "../store/sealed.ts";
import { branded, count, listOf, number, oneOf, optional, ordinal, orNull, shape, text, uid } from "../store/shape.ts";
import { parserOf } from "../store/unreadable.ts";
import { DAY_MS } from "../units.ts";
import { type EventSubject, subjectOf } from "./event.ts";

export interface DeliveryAttempt {
  readonly n: number;
  /** When it began, ms. */
  readonly at: number;
  /** What the receiver answered; null: nothing, and `error` says why. */
  readonly status: number | null;
  readonly error: string | null;
}

/** One event for one receiver (docs/architecture/table.md). Times are ms. */
export interface Delivery extends Stored {
  readonly kind: "delivery";
  readonly owner: string;
  readonly entry: TimelineEntry;
  /** Phase and step of the entry before: what is no change to its receiver is not told twice. */
  readonly previous?: Pick<TimelineEntry, "phase" | "step"> | undefined;
  readonly environment: EventSubject;
  /** Sealed for the environment's record, from which it was copied, under the key that this had then. */
  readonly receiver: Sealed;
  /** The bytes that every attempt sends, sealed for this record; null before the first. */
  readonly body: Sealed | null;
  readonly state: "waiting" | "delivered" | "given_up";
  /** The newest 40. */
  readonly attempts: readonly DeliveryAttempt[];
  readonly attemptCount: number;
  /** Attempts of the present series, and when that began. */
  readonly tries: number;
  readonly seriesAt: number;
  /** The token of the request that began it, where that may be repeated. */
  readonly seriesBy?: string | undefined;
  /** An attempt is being made; nobody else makes one before `until`. */
  readonly claim: { readonly attempt: number; readonly at: number; readonly until: number } | null;
  readonly endedAt: number | null;
  readonly dueShard: string;
  /** When it is looked at again: for its next attempt, or to be removed. */
  readonly dueAt?: number | undefined;
  /** Seconds since the epoch. */
  readonly ttl?: number | undefined;
}

/** The delivery that an entry becomes, due now. Its key follows from the entry: it can only be put once. */
export function newDelivery(
  { ids }: { readonly ids: Ids },
  environment: Environment,
  entry: TimelineEntry,
  receiver: Sealed,
  now: number,
): Delivery {
  const key = deliveryKey(environment.owner, entry.at, environment.uid, entry.n);
  const previous = environment.events.timeline.find(({ n }) => n === entry.n - 1);
  return {
    ...key,
    writers: [],
    kind: "delivery",
    owner: environment.owner,
    entry,
    ...(previous && { previous: { phase: previous.phase, step: previous.step } }),
    environment: subjectOf(environment),
    receiver,
    body: null,
    state: "waiting",
    attempts: [],
    attemptCount: 0,
    tries: 0,
    seriesAt: now,
    claim: null,
    endedAt: null,
    dueShard: deliveryShardOf(ids, key),
    dueAt: now,
  };
}

const KEPT_ATTEMPTS = 40;

/** The delivery with this attempt written down and its claim gone. */
export function withAttempt(delivery: Delivery, attempt: DeliveryAttempt): Delivery {
  const attempts = [...delivery.attempts, attempt].slice(-KEPT_ATTEMPTS);
  return { ...delivery, attempts, tries: delivery.tries + 1, claim: null };
}

/** How long a delivery can be read and sent again after its end; then a look removes it, with its receiver. */
const KEPT_MS = 7 * DAY_MS;

export function ended(delivery: Delivery, state: "delivered" | "given_up", now: number): Delivery {
  const dueAt = now + KEPT_MS;
  return { ...delivery, state, claim: null, endedAt: now, dueAt, ttl: Math.floor(dueAt / 1000) };
}

/** What its environment was is checked as far as every body needs it; a dialect takes the rest as it was written. */
const subject = (value: unknown): value is EventSubject => isSubject(value);
const isSubject = shape<Pick<EventSubject, "pk" | "sk" | "uid" | "owner" | "id" | "createdBy" | "phase" | "size">>({
  pk: text,
  sk: text,
  uid,
  owner: text,
  id: text,
  createdBy: text,
  phase: environmentTable.phase,
  size: isSize,
});

/** Throws `Unreadable` for anything that this version did not write. */
export const parseDelivery: (item: Item) => Delivery = parserOf(
  "delivery",
  {
    owner: text,
    entry: timelineEntry,
    previous: optional(
      shape<NonNullable<Delivery["previous"]>>({ phase: environmentTable.phase, step: environmentTable.step }),
    ),
    environment: subject,
    receiver: branded<Sealed>(),
    body: orNull(branded<Sealed>()),
    state: oneOf("waiting", "delivered", "given_up"),
    attempts: listOf(shape<DeliveryAttempt>({ n: ordinal, at: number, status: orNull(number), error: orNull(text) })),
    attemptCount: count,
    tries: count,
    seriesAt: number,
    seriesBy: optional(text),
    claim: orNull(shape<NonNullable<Delivery["claim"]>>({ attempt: ordinal, at: number, until: number })),
    endedAt: orNull(number),
    dueShard: text,
    dueAt: optional(number),
    ttl: optional(number),
  },
  { "nobody will look at it": ({ state, dueAt }) => state !== "waiting" || dueAt !== undefined },
);

/** The key of a delivery's record, apart from the rest of it. */
export function recordKeyOf({ pk, sk }: Key): Key {
  return { pk, sk };
}
