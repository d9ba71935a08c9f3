import type { Stored } from "#core/ports/table.ts";

/** Reports whether a write was conditional on the record before it. */
export function follows(before: Stored, next: Stored): boolean {
  return next.writers[1] === before.writers[0];
}
