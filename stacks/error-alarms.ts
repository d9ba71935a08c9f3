import { alarmedErrorEvents } from "../packages/core/ports/error-events.ts";
import type { Alarm } from "./alarms.ts";

/**
 * Returns one alarm for each error event, by the name of its metric. Their end is not told: that no more lines come
 * does not mean that a lost disk is back.
 */
export function errorAlarms(namespace: string): Record<string, Alarm> {
  return Object.fromEntries(
    [...alarmedErrorEvents()].map(([event, { metric, threshold = 0, text }]) => {
      const description = `${text} Search the logs for "${event}"; docs/operate.md explains it.`;
      return [metric, { description, namespace, metric, threshold, tellsEnd: false }];
    }),
  );
}
