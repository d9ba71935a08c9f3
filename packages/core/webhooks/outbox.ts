import type { Context } from "../context.ts";
import type { Environment } from "../environments/record/record.ts";
import { receiverOf } from "../environments/record/timeline.ts";
import type { Key } from "../ports/table.ts";
import type { Step } from "../reconciler/worker.ts";
import { writeRecord } from "../store/write-record.ts";
import { newDelivery, recordKeyOf } from "./delivery.ts";

/** Whether some of its entries have not become deliveries yet. */
export function hasEventsToEmit({ events: { emitted, count: timelineCount } }: Pick<Environment, "events">): boolean {
  return emitted < timelineCount;
}

/** The step that comes before every other: each entry above the cursor is a delivery, then the cursor moves. */
export async function tellReceiver(
  ctx: Context<"table">,
  environment: Environment,
  now: number,
): Promise<Step<Environment>> {
  const { emitted, deliveries } = await emitEvents(ctx, environment, now);
  return { record: { ...emitted, dueAt: now }, notify: deliveries.map((key) => ({ key })), log: "told its receiver" };
}

/**
 * Puts the delivery of each entry above the cursor, if absent, and answers the record with the cursor moved, still to
 * be written, and the deliveries to look at then. Whoever changes the receiver of a record does this first: what
 * happened before goes to whom it was meant for.
 */
export async function emitEvents(
  ctx: Context<"table">,
  environment: Environment,
  now: number,
): Promise<{ readonly emitted: Environment; readonly deliveries: readonly Key[] }> {
  if (!hasEventsToEmit(environment)) return { emitted: environment, deliveries: [] };
  const receiver = receiverOf(environment);
  const entries = environment.events.timeline.filter(({ n }) => n > environment.events.emitted);
  const events = receiver ? entries.map((entry) => newDelivery(ctx, environment, entry, receiver, now)) : [];
  await Promise.all(events.map((event) => writeRecord(ctx, event)));
  return {
    emitted: { ...environment, events: { ...environment.events, emitted: environment.events.count } },
    deliveries: events.map(recordKeyOf),
  };
}

/** The record is due while there are entries above its cursor. */
export function dueWhileEventsWait(step: Step<Environment>, now: number): Step<Environment> {
  return hasEventsToEmit(step.record) ? { ...step, record: { ...step.record, dueAt: now } } : step;
}
