import * as z from "zod";

export const Timestamp = z.string().meta({ format: "date-time", example: "2026-01-20T18:30:00Z" });

export function wholeSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

export function milliseconds(ms: number): string {
  return new Date(ms).toISOString();
}

/** Formats a duration as Go does, in whole seconds: `2h30m15s`, `1m0s`, `0s`. */
export function goDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const parts = [hours > 0 && `${hours}h`, whole >= 60 && `${minutes}m`, `${whole % 60}s`];
  return parts.filter(Boolean).join("");
}
