import { environmentTable, isSize, timelineEntry } from "../environments/record/parse.ts";
import type { Environment } from "../environments/record/record.ts";
import type { TimelineEntry } from "../environments/record/timeline.ts";
import type { Ids } from "../ports/ids.ts";
import type { Item, Key, Stored } from "../ports/table.ts";
import { getDueShard } from "../store/due.ts";
import { deliveryKey } from "../store/keys.ts";
import type { Sealed } from "../store/sealed.ts";
import { branded, count, list, literal, number, optional, ordinal, orNull, shape, text, uid } from "../store/shape.ts";
import { createParser } from "../store/unreadable.ts";
import { DAY_MS } from "../units.ts";
import { type EventSubject, toSubject } from "./event.ts";

export interface DeliveryAttempt {
  readonly n: number;
  readonly at: number;
  readonly status: number | null;
  readonly error: string | null;
}

/** One event for one receiver (docs/architecture/table.md). Times are ms. */
export interface Delivery extends Stored {
  readonly kind: "delivery";
  readonly owner: string;
  readonly entry: TimelineEntry;
  /** Phase and step of the previous entry; a dialect sends no event if both are the same in its own words. */
  readonly previous?: Pick<TimelineEntry, "phase" | "step"> | undefined;
  readonly environment: EventSubject;
  /** Copied from the environment and sealed for the key that its record had then. */
  readonly receiver: Sealed;
  /** The bytes of every attempt, sealed for this record; null before the first attempt. */
  readonly body: Sealed | null;
  readonly state: "waiting" | "delivered" | "given_up";
  readonly attempts: readonly DeliveryAttempt[];
  readonly attemptCount: number;
  readonly tries: number;
  readonly seriesAt: number;
  readonly seriesBy?: string | undefined;
  /** The attempt under way; no other worker makes one before `until`. */
  readonly claim: { readonly attempt: number; readonly at: number; readonly until: number } | null;
  readonly endedAt: number | null;
  readonly dueShard: string;
  readonly dueAt?: number | undefined;
  readonly ttl?: number | undefined;
}

/** Returns the delivery for a timeline entry, due now. The entry determines the key, so it is written only once. */
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
    environment: toSubject(environment),
    receiver,
    body: null,
    state: "waiting",
    attempts: [],
    attemptCount: 0,
    tries: 0,
    seriesAt: now,
    claim: null,
    endedAt: null,
    dueShard: getDueShard(ids, key),
    dueAt: now,
  };
}

const KEPT_ATTEMPTS = 40;

export function withAttempt(delivery: Delivery, attempt: DeliveryAttempt): Delivery {
  const attempts = [...delivery.attempts, attempt].slice(-KEPT_ATTEMPTS);
  return { ...delivery, attempts, tries: delivery.tries + 1, claim: null };
}

/** Retention after the end, for reading and resending. Then a reconcile removes the delivery and its receiver. */
const KEPT_MS = 7 * DAY_MS;

export function ended(delivery: Delivery, state: "delivered" | "given_up", now: number): Delivery {
  const dueAt = now + KEPT_MS;
  return { ...delivery, state, claim: null, endedAt: now, dueAt, ttl: Math.floor(dueAt / 1000) };
}

/** Checks only the fields that every body needs; dialects read the others unchecked. */
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

export const parseDelivery: (item: Item) => Delivery = createParser(
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
    state: literal("waiting", "delivered", "given_up"),
    attempts: list(shape<DeliveryAttempt>({ n: ordinal, at: number, status: orNull(number), error: orNull(text) })),
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
  { "it is never due": ({ state, dueAt }) => state !== "waiting" || dueAt !== undefined },
);

export function toRecordKey({ pk, sk }: Key): Key {
  return { pk, sk };
}
