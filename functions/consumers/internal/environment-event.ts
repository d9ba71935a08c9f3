import type { DeliveryEvent } from "#core/webhooks/event.ts";
import { milliseconds } from "#http/answers/timestamp.ts";

export function toEnvironmentEvent({ id, entry, environment, username }: DeliveryEvent): object {
  return {
    event_id: id,
    environment_id: environment.id,
    user_id: username,
    name: environment.name,
    phase: entry.phase,
    step: entry.step,
    timestamp: milliseconds(entry.at),
    sequence: entry.n,
    reason: entry.reason,
  };
}
