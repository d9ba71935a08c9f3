import type { Inbox, Message } from "#core/chat/record.ts";
import { chatKey, inboxKey } from "#core/store/keys.ts";
import type { Delivery } from "#core/webhooks/delivery.ts";
import { toSubject } from "#core/webhooks/event.ts";
import { entry, environment, receiver } from "./environment-items.ts";
import { at, base, homeText, many, reason, sealed, ttl, uid, type Written } from "./parts.ts";

export const inbox = {
  ...base,
  ...inboxKey(uid),
  kind: "inbox",
  uid,
  owner: uid,
  environment: homeText,
  fault: reason,
  settled: 1e12,
  dropTo: 1e12,
  claim: { n: 1e12, attempt: 1e6, until: at },
  claims: 1e6,
  looks: 1e6,
  attempts: 1e6,
  dueShard: "f",
  dueAt: at,
  ttl,
} satisfies Written<Inbox>;

/** Message with a reply of 256 KiB, which replaces the text of at most 64 KiB. */
export const message = {
  ...base,
  ...chatKey(uid, 1e11),
  kind: "message",
  uid,
  n: 1e11,
  at,
  run: 1e6,
  state: "delivered",
  text: null,
  reply: sealed(256 * 1024),
  ttl,
} satisfies Written<Message>;

/** Delivery with 40 attempts. */
export const delivery = {
  ...base,
  kind: "delivery",
  pk: `owner#${uid}#delivery`,
  sk: `${at}#${uid}#1000000`,
  owner: uid,
  entry: entry(1),
  previous: { phase: "preparing", step: "container" },
  environment: toSubject(environment),
  receiver,
  body: sealed(8_192),
  state: "waiting",
  attemptCount: 1e6,
  tries: 1e6,
  seriesAt: at,
  seriesBy: uid,
  attempts: many(40, (n) => ({ n: 1e6 + n, at, status: 599, error: reason })),
  claim: { attempt: 1e6, at, until: at },
  endedAt: at,
  dueShard: "w3",
  dueAt: at,
  ttl,
} satisfies Written<Delivery>;
