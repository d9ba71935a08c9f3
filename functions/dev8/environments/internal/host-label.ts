import type { UserContext } from "#core/context.ts";

/** Longest label of a host name (RFC 1035). */
const LONGEST = 63;
const HASH_DIGITS = 6;
const HASHED = 3;

/**
 * Returns host labels of a workspace in the order of preference: `ws-<id>.<region>`, then variants with a hash of
 * owner and id (docs/apis/dev8.md#bodies-and-effects).
 */
export function listHostLabels({ ids, actor }: UserContext, id: string, region: string): string[] {
  const name = `ws-${id.toLowerCase().replaceAll("_", "-")}`;
  const hash = ids.hash(`${actor.uid} ${id}`);
  const hashed = Array.from({ length: HASHED }, (_, n) => {
    const digits = hash.slice(n * HASH_DIGITS, (n + 1) * HASH_DIGITS);
    return `${name.slice(0, LONGEST - HASH_DIGITS - 1)}-${digits}`;
  });
  const isName = name.length <= LONGEST && !name.endsWith("-");
  return (isName ? [name, ...hashed] : hashed).map((label) => `${label}.${region}`);
}
