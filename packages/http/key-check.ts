import * as z from "zod";
import type { Actor, Clock, Ids, Table } from "#core/context.ts";
import { apiKeyKey } from "#core/keys.ts";
import { Refusal } from "./refusal.ts";

/**
 * Finds out whose key a request carries. Throws a Refusal for a key that is missing, malformed, unknown, expired or
 * revoked, and for a disabled user (contracts/common section 1).
 */
export type KeyCheck = (headers: Headers) => Promise<Actor>;

/** A key check with a small memory of its own: a good key is read again after 30 s. */
export function keyCheck({ table, ids, clock }: { table: Table; ids: Ids; clock: Clock }): KeyCheck {
  const known = new Map<string, { readonly record: KeyRecord; readonly readAt: number }>();

  return async (headers) => {
    const key = presentedKey(headers);
    if (key === undefined) throw new Refusal("noKey");
    if (!keyForm.test(key)) throw new Refusal("badKey");
    const hash = ids.hash(key);
    const now = clock.now();
    const cached = known.get(hash);
    if (cached && now - cached.readAt <= MEMORY_MS && now >= cached.readAt) return admit(cached.record, now);
    known.delete(hash);
    const item = await table.get(apiKeyKey(hash));
    if (!item) throw new Refusal("badKey");
    const record = KeyRecord.parse(item);
    const actor = admit(record, now);
    remember(known, hash, { record, readAt: now });
    return actor;
  };
}

/** Places 1 and 2 of contracts/common section 1; a bad key in the first is not rescued by the second. */
function presentedKey(headers: Headers): string | undefined {
  const [, bearer] = /^bearer\s+(\S.*)$/i.exec(headers.get("authorization")?.trim() ?? "") ?? [];
  return bearer ?? (headers.get("x-api-key")?.trim() || undefined);
}

const keyForm = /^[A-Za-z0-9_-]{16,256}$/;

/** By the time of day: the monotonic clock of a frozen Lambda stands still. */
const MEMORY_MS = 30_000;
const MEMORY_SIZE = 1_000;

const KeyRecord = z.object({
  uid: z.string(),
  username: z.string(),
  number: z.number(),
  prefix: z.string(),
  expiresAt: z.number(),
  /** May lie ahead: a rotated key works a little longer. */
  revokedAt: z.number().nullable(),
  disabled: z.boolean(),
});
type KeyRecord = z.infer<typeof KeyRecord>;

/** Whichever ended the key first is told. */
function admit({ uid, username, number, prefix, expiresAt, revokedAt, disabled }: KeyRecord, now: number): Actor {
  if (revokedAt !== null && revokedAt <= now && revokedAt <= expiresAt) {
    throw new Refusal("badKey", {}, "API key has been revoked");
  }
  if (expiresAt <= now) throw new Refusal("badKey", {}, "API key has expired");
  if (disabled) throw new Refusal("disabledUser");
  return { uid, username, number, keyPrefix: prefix };
}

function remember<Entry>(known: Map<string, Entry>, hash: string, entry: Entry): void {
  const [oldest] = known.keys();
  if (known.size >= MEMORY_SIZE && oldest !== undefined) known.delete(oldest);
  known.set(hash, entry);
}
