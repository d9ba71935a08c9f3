import type { DeliveryEvent } from "#core/webhooks/event.ts";
import { milliseconds } from "#http/answers/timestamp.ts";
import { type InstanceStatus, toConnection, toStatus } from "../schemas.ts";

/**
 * Statuses that are sent to receivers. `creating` is the answer of the create, and a stop is sent when it is done.
 */
const sent: readonly InstanceStatus[] = ["starting", "running", "health_checking", "ready", "failed", "stopped"];

const reasons: Partial<Record<InstanceStatus, (said: string | null, broken: string | null) => string | null>> = {
  failed: (said, broken) => broken ?? said,
  stopped: (said) => said,
};

export function toInstanceEvent(event: DeliveryEvent): object | undefined {
  const { entry, previous, environment, username } = event;
  const {
    id,
    name,
    run: { n: run, error: broken },
  } = environment;
  const status = toStatus({ ...entry, run: { n: run, error: broken } });
  const before = previous && toStatus({ ...previous, run: { n: run, error: broken } });
  if (!sent.includes(status) || status === before) return undefined;
  const connection = toConnection(environment, status, event);
  return {
    instanceId: id,
    userId: username,
    status,
    timestamp: milliseconds(entry.at),
    sequence: entry.n,
    data: { id, name, status, ...connection, reason: reasons[status]?.(entry.reason, broken) ?? null },
  };
}
