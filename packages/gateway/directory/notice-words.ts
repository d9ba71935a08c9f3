import type { Notice } from "#core/ports/compute.ts";
import { durationText } from "#core/text/duration-text.ts";

/** Returns a current notice as a user reads it who comes later: with the time that remains. */
export function wordsAtLogin({ words, endsAt }: Notice, now: number): string {
  return endsAt === undefined ? words : `Expires in ${durationText(Math.max(0, endsAt - now))}`;
}
