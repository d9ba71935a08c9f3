import type { Stored } from "#core/ports/table.ts";

/** Whether a record was written on the condition that it still was this one. */
export function follows(before: Stored, next: Stored): boolean {
  return next.writers[1] === before.writers[0];
}
