import type { Context } from "../context.ts";
import type { Environment } from "../environments/record/record.ts";
import { getReceiver } from "../environments/record/timeline.ts";
import type { Key } from "../ports/table.ts";
import type { Step } from "../reconciler/step.ts";
import { writeRecord } from "../store/write-record.ts";
import { newDelivery, toRecordKey } from "./delivery.ts";

export function hasEventsToEmit({ events: { emitted, count: timelineCount } }: Pick<Environment, "events">): boolean {
  return emitted < timelineCount;
}

export async function emitOutbox(
  ctx: Context<"table">,
  environment: Environment,
  now: number,
): Promise<Step<Environment>> {
  const { emitted, deliveries } = await emitEvents(ctx, environment, now);
  return { record: { ...emitted, dueAt: now }, notify: deliveries.map((key) => ({ key })), log: "told its receiver" };
}

/**
 * Writes the missing deliveries. Returns the record with the cursor moved, still to be written, and the new deliveries.
 * Call it before changing a receiver: earlier events belong to the earlier one.
 */
export async function emitEvents(
  ctx: Context<"table">,
  environment: Environment,
  now: number,
): Promise<{ readonly emitted: Environment; readonly deliveries: readonly Key[] }> {
  if (!hasEventsToEmit(environment)) return { emitted: environment, deliveries: [] };
  const receiver = getReceiver(environment);
  const entries = environment.events.timeline.filter(({ n }) => n > environment.events.emitted);
  const events = receiver ? entries.map((entry) => newDelivery(ctx, environment, entry, receiver, now)) : [];
  await Promise.all(events.map((event) => writeRecord(ctx, event)));
  return {
    emitted: { ...environment, events: { ...environment.events, emitted: environment.events.count } },
    deliveries: events.map(toRecordKey),
  };
}

export function dueWhileEventsWait(step: Step<Environment>, now: number): Step<Environment> {
  return hasEventsToEmit(step.record) ? { ...step, record: { ...step.record, dueAt: now } } : step;
}
