import * as z from "zod";
import { isEnded } from "#core/environments/record/record.ts";
import type { Delivery } from "#core/webhooks/delivery.ts";
import { type DeliveryEvent, eventIdOf } from "#core/webhooks/event.ts";
import { milliseconds, Timestamp, wholeSeconds } from "#http/timestamp.ts";
import { statusOf } from "../jobs/parts/status.ts";

export const DeliveryRef = z.object({
  delivery_id: z.string().meta({ example: "evt_1768933800000_0123456789abcdef0123456789abcdef_3" }),
});

/** One event for one receiver. Environments of every API have these, and the URL is never shown. */
export const WebhookDelivery = z.object({
  delivery_id: z.string(),
  environment_id: z.string(),
  environment_name: z.string(),
  api: z.string(),
  run: z.int(),
  phase: z.string(),
  step: z.string().nullable(),
  state: z.enum(["waiting", "delivered", "given_up"]),
  attempt_count: z.int(),
  attempts: z.array(
    z.object({ number: z.int(), at: Timestamp, status: z.int().nullable(), error: z.string().nullable() }),
  ),
  created_at: Timestamp,
  next_attempt_at: Timestamp.nullable(),
  ended_at: Timestamp.nullable(),
});

export function toWebhookDelivery(delivery: Delivery): z.infer<typeof WebhookDelivery> {
  const { entry, environment, state, dueAt, endedAt } = delivery;
  return {
    delivery_id: eventIdOf(delivery),
    environment_id: environment.id,
    environment_name: environment.name,
    api: environment.createdBy,
    run: environment.run.n,
    phase: entry.phase,
    step: entry.step,
    state,
    attempt_count: delivery.attemptCount,
    attempts: delivery.attempts.map(({ n, at, status, error }) => ({ number: n, at: wholeSeconds(at), status, error })),
    created_at: wholeSeconds(entry.at),
    next_attempt_at: state === "waiting" && dueAt !== undefined ? wholeSeconds(dueAt) : null,
    ended_at: endedAt === null ? null : wholeSeconds(endedAt),
  };
}

/** The body that a job's receiver is sent. While it is on its way to its end, nothing new is to be told. */
export function toJobEvent({ id, entry, environment, username }: DeliveryEvent): object | undefined {
  if (entry.phase === "stopping") return undefined;
  return {
    event_id: id,
    job_id: environment.id,
    user_id: username,
    status: statusOf({ phase: entry.phase, end: { outcome: null } }),
    timestamp: milliseconds(entry.at),
    sequence: entry.n,
    reason: isEnded(entry) ? (environment.end.outcome?.reason ?? entry.reason) : entry.reason,
  };
}
