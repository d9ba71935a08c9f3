import type { Settings } from "../../settings.ts";

/** How many hours one waits for capacity: the first in line twice as many, as its start is reserved. */
export function queueHours({ maxQueueHours }: Pick<Settings, "maxQueueHours">, isFirst: boolean): number {
  return isFirst ? 2 * maxQueueHours : maxQueueHours;
}
