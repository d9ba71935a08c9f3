import type { NounDocument } from "#http/noun-document.ts";
import { WebhookDelivery } from "../wire.ts";

const delivery = {
  delivery_id: "evt_1768933800000_0123456789abcdef0123456789abcdef_3",
  environment_id: "9e41c7d3-5b00-4c1a-8000-0123456789ab",
  environment_name: "training-run",
  api: "gpu-dev",
  run: 1,
  phase: "active",
  step: null,
  created_at: "2026-01-20T18:30:00Z",
};
const refused = { number: 1, at: "2026-01-20T18:30:00Z", status: 503, error: null };
const taken = { number: 2, at: "2026-01-20T18:30:01Z", status: 204, error: null };

const delivered = {
  ...delivery,
  state: "delivered",
  attempt_count: 2,
  attempts: [refused, taken],
  next_attempt_at: null,
  ended_at: taken.at,
};
const waiting = {
  ...delivery,
  state: "waiting",
  attempt_count: 2,
  attempts: [refused, taken],
  next_attempt_at: "2026-01-20T18:35:00Z",
  ended_at: null,
};

export const document: NounDocument = {
  tag: "Webhooks",
  schemas: { WebhookDelivery, WebhookAttempt: WebhookDelivery.shape.attempts.element },
  fields: {
    after: "The value of `next` on the page before.",
    environment_id: "The id of the job, instance or other environment that the event is about.",
    deliveries: "The deliveries, newest first.",
    next: "The value of `after` for the next page; null on the last one.",
    delivery_id: "The id of the delivery: one event to one receiver.",
    environment_name: "The environment's name, for people.",
    api: "The API through which the environment was created.",
    run: "Number of the environment's start, counted from 1.",
    phase: "The phase that the environment entered.",
    step: "The step of its preparation; null in other phases.",
    state: "`waiting` for its next attempt, `delivered`, or `given_up`.",
    attempt_count: "Number of attempts so far.",
    attempts: "The latest attempts, oldest first.",
    number: "The attempt's number, counted from 1.",
    at: "When the attempt was made.",
    "WebhookAttempt.status": "The HTTP status that the receiver answered; null without an answer.",
    error: "What went wrong, in words.",
    next_attempt_at: "When the next attempt is due; null unless the delivery waits.",
    ended_at: "When the delivery succeeded or was given up; null until then.",
  },
  operations: {
    list: {
      id: "listWebhookDeliveries",
      description:
        "Through whichever API the things were made. Kept for 7 days after their end; the URL is never shown.",
      reply: "WebhookDeliveryList",
      replies: { 200: { examples: { "One that came the second time": { deliveries: [delivered], next: null } } } },
    },
    resend: {
      id: "resendWebhookDelivery",
      reply: "WebhookDelivery",
      replies: { 200: { examples: { "On its way again": waiting } } },
      problems: { 409: "It is on its way" },
    },
  },
};
