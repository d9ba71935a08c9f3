import * as z from "zod";
import { isEnded } from "#core/environments/record/record.ts";
import type { Delivery } from "#core/webhooks/delivery.ts";
import { type DeliveryEvent, formatEventId } from "#core/webhooks/event.ts";
import { milliseconds, Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { toStatus } from "../jobs/internal/status.ts";

export const DeliveryRef = z.object({
  delivery_id: z
    .string()
    .meta({ example: "evt_1768933800000_0123456789abcdef0123456789abcdef_3" })
    .describe("The id of the delivery: one event to one receiver."),
});

/** One event for one receiver. All dialects share it, and the URL is never shown. */
export const WebhookDelivery = z
  .object({
    delivery_id: z.string().describe("The id of the delivery: one event to one receiver."),
    environment_id: z.string().describe("The id of the job, instance or other environment that the event is about."),
    environment_name: z.string().describe("The environment's name, for people."),
    api: z.string().describe("The API through which the environment was created."),
    run: z.int().describe("Number of the environment's start, counted from 1."),
    phase: z.string().describe("The phase that the environment entered."),
    step: z.string().nullable().describe("The step of its preparation; null in other phases."),
    state: z
      .enum(["waiting", "delivered", "given_up"])
      .describe("`waiting` for its next attempt, `delivered`, or `given_up`."),
    attempt_count: z.int().describe("Number of attempts so far."),
    attempts: z
      .array(
        z
          .object({
            number: z.int().describe("The attempt's number, counted from 1."),
            at: Timestamp.describe("When the attempt was made."),
            status: z.int().nullable().describe("The HTTP status that the receiver answered; null without an answer."),
            error: z.string().nullable().describe("What went wrong, in words."),
          })
          .meta({ id: "WebhookAttempt" }),
      )
      .describe("The latest attempts, oldest first."),
    created_at: Timestamp.describe("When it was created."),
    next_attempt_at: Timestamp.nullable().describe("When the next attempt is due; null unless the delivery waits."),
    ended_at: Timestamp.nullable().describe("When the delivery succeeded or was given up; null until then."),
  })
  .meta({ id: "WebhookDelivery" });

export function toWebhookDelivery(delivery: Delivery): z.infer<typeof WebhookDelivery> {
  const { entry, environment, state, dueAt, endedAt } = delivery;
  return {
    delivery_id: formatEventId(delivery),
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

/** Formats a job's webhook body. Skips `stopping`: the final phase follows, or `queued` with the reason. */
export function toJobEvent({ id, entry, environment, username }: DeliveryEvent): object | undefined {
  if (entry.phase === "stopping") return undefined;
  return {
    event_id: id,
    job_id: environment.id,
    user_id: username,
    status: toStatus({ phase: entry.phase, end: { outcome: null } }),
    timestamp: milliseconds(entry.at),
    sequence: entry.n,
    reason: isEnded(entry) ? (environment.end.outcome?.reason ?? entry.reason) : entry.reason,
  };
}

export const exampleDelivery = {
  delivery_id: "evt_1768933800000_0123456789abcdef0123456789abcdef_3",
  environment_id: "9e41c7d3-5b00-4c1a-8000-0123456789ab",
  environment_name: "training-run",
  api: "gpu-dev",
  run: 1,
  phase: "active",
  step: null,
  created_at: "2026-01-20T18:30:00Z",
  state: "delivered",
  attempt_count: 2,
  attempts: [
    { number: 1, at: "2026-01-20T18:30:00Z", status: 503, error: null },
    { number: 2, at: "2026-01-20T18:30:01Z", status: 204, error: null },
  ],
  next_attempt_at: null,
  ended_at: "2026-01-20T18:30:01Z",
};
