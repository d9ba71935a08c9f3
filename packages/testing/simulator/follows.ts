import type { Stored } from "#core/context.ts";

/** Whether a record was written on the condition that it still was this one. */
export function follows(before: Stored, next: Stored): boolean {
  return next.writers[1] === before.writers[0];
}
