import type { Ids } from "#core/ports/ids.ts";

/**
 * Returns a weak entity tag (RFC 9110 section 8.8.1), because answers that differ only in the `leftOut` fields share
 * it.
 */
export function entityTag({ hash }: Pick<Ids, "hash">, body: unknown, leftOut: readonly string[]): string {
  const text = JSON.stringify(body, (name, value: unknown) => (leftOut.includes(name) ? undefined : value));
  return `W/"${hash(text).slice(0, 32)}"`;
}

/** Reports whether an If-None-Match names this tag (RFC 9110 section 13.1.2, weak comparison). */
export function namesTag(ifNoneMatch: string | null, tag: string): boolean {
  if (ifNoneMatch === null) return false;
  if (ifNoneMatch.trim() === "*") return true;
  const opaque = tag.slice(tag.indexOf('"'));
  return ifNoneMatch.split(",").some((part) => part.trim().replace(/^W\//, "") === opaque);
}
