import type { Settings } from "../../settings.ts";

/** Returns how many hours a job may wait. The first in line may wait twice as long, as its start is reserved. */
export function queueHours({ maxQueueHours }: Pick<Settings, "maxQueueHours">, isFirst: boolean): number {
  return isFirst ? 2 * maxQueueHours : maxQueueHours;
}
