import type { Settings } from "../../settings.ts";

/**
 * Returns how many hours a job may wait for capacity. The first in line waits twice as long, since its start is
 * reserved.
 */
export function queueHours({ maxQueueHours }: Pick<Settings, "maxQueueHours">, isFirst: boolean): number {
  return isFirst ? 2 * maxQueueHours : maxQueueHours;
}
