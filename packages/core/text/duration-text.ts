import { MINUTE_MS } from "../units.ts";

/** Returns a duration as text, rounded up: `5 minutes`, `1 minute`, `48 seconds`. */
export function durationText(ms: number): string {
  if (ms < MINUTE_MS) return counted(Math.max(1, Math.ceil(ms / 1000)), "second");
  return counted(Math.ceil(ms / MINUTE_MS), "minute");
}

function counted(count: number, unit: string): string {
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
