import type { Actor } from "#core/context.ts";
import type { Clock } from "#core/ports/clock.ts";
import type { Ids } from "#core/ports/ids.ts";
import type { Table } from "#core/ports/table.ts";
import type { Settings } from "#core/settings.ts";
import { apiKeyKey } from "#core/store/keys.ts";
import { type ApiKey, noteUse, parseApiKey } from "#core/users/record.ts";
import { HttpError } from "../answers/http-error.ts";
import type { PlainHeaders } from "../request/plain-request.ts";

/**
 * Returns the owner of a request's key, which may be in its headers, the `further` places or the session cookie, in
 * this order. The key of a browser's session counts in its cookie only, and no other key does there. Throws an
 * HttpError for a missing, malformed, unknown, expired or revoked key and for a disabled user
 * (docs/apis/common.md#keys), and `Unreadable` for a broken record.
 */
export type KeyCheck = (headers: PlainHeaders, further?: FurtherPlaces, sessionKey?: string) => Promise<Actor>;

export type FurtherPlaces = readonly (string | undefined)[];

export interface KeyMemory {
  find(hash: string): Remembered | undefined;
  /** `since` is the value of `forgotten` before the key was read. If it has changed, the key is not cached. */
  remember(hash: string, remembered: Remembered, since: number): void;
  drop(hash: string): void;
  forget(): void;
  forgotten(): number;
}

interface Remembered {
  readonly record: HashedRecord;
  readonly readAt: number;
}

interface KeyCheckParts {
  /** Checks that share a memory forget a key together. The default is a new memory. */
  readonly memory?: KeyMemory | undefined;
  readonly table: Table;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly settings: Pick<Settings, "adminUsers" | "adminRoles">;
  /** Set if this process may not write keys, so it does not note their use. */
  readonly readsKeysOnly?: true | undefined;
}

/** Returns a key check that caches valid keys for 5 s. */
export function keyCheck(parts: KeyCheckParts): KeyCheck {
  const checkHash = hashCheck(parts);
  return async (headers, further, sessionKey) => {
    const ownKey = presentedKey(headers, further);
    const key = ownKey ?? sessionKey;
    if (key === undefined) throw new HttpError("noKey", {}, lacksScheme(headers) ? SCHEME_FORGOTTEN : "");
    if (!keyForm.test(key)) throw new HttpError("badKey");
    return checkHash(parts.ids.hash(key), ownKey === undefined ? "cookie" : "request");
  };
}

/** Returns the check of a key by its hash. Without a place, it accepts the key of a browser's session too. */
export function hashCheck(parts: KeyCheckParts) {
  const { table, ids, clock, settings, memory = keyMemory(), readsKeysOnly } = parts;
  return async (hash: string, place?: "request" | "cookie"): Promise<Actor> => {
    const now = clock.now();
    const cached = memory.find(hash);
    if (cached && now - cached.readAt <= MEMORY_MS && now >= cached.readAt) {
      return admit(cached.record, settings, now, place);
    }
    memory.drop(hash);
    const since = memory.forgotten();
    const item = await table.get(apiKeyKey(hash));
    if (!item) throw new HttpError("badKey");
    const record = { ...parseApiKey(item), hash };
    const actor = admit(record, settings, now, place);
    memory.remember(hash, { record, readAt: now }, since);
    if (!readsKeysOnly) void noteUse({ table, ids }, item, now);
    return actor;
  };
}

/** Finds the presented key (docs/apis/common.md#keys). A bad key in one place is not rescued by later places. */
function presentedKey(headers: PlainHeaders, further: FurtherPlaces = []): string | undefined {
  const [, bearer] = /^bearer\s+(\S.*)$/i.exec(headers.get("authorization")?.trim() ?? "") ?? [];
  return [bearer, headers.get("x-api-key")?.trim(), ...further].find((key) => key);
}

const SCHEME_FORGOTTEN = "Not authenticated. Did you forget 'Bearer' before the key in Authorization?";

/** Reports whether Authorization holds a bare key. */
function lacksScheme(headers: PlainHeaders): boolean {
  return keyForm.test(headers.get("authorization")?.trim() ?? "");
}

const keyForm = /^[A-Za-z0-9_-]{16,256}$/;

/** Compared in time of day, because Lambda stops a process's monotonic clock between requests. */
const MEMORY_MS = 5_000;
const MEMORY_SIZE = 1_000;

type HashedRecord = ApiKey & { readonly hash: string };

/** Refuses revoked and expired keys, and disabled users. */
function admit(
  record: HashedRecord,
  { adminUsers, adminRoles }: KeyCheckParts["settings"],
  now: number,
  place: "request" | "cookie" | undefined,
): Actor {
  const { uid, username, number, prefix, expiresAt, revokedAt, disabled, role, hash, isWeb = false } = record;
  if (place !== undefined && isWeb !== (place === "cookie")) throw new HttpError("badKey");
  if (revokedAt !== null && revokedAt <= now && revokedAt <= expiresAt) {
    throw new HttpError("badKey", { errorCode: "key_revoked" }, "API key has been revoked");
  }
  if (expiresAt <= now) throw new HttpError("badKey", { errorCode: "key_expired" }, "API key has expired");
  if (disabled) throw new HttpError("disabledUser");
  const isAdmin = adminUsers.includes(username) || (role !== undefined && adminRoles.includes(role));
  return { uid, username, number, keyPrefix: prefix, keyHash: hash, isAdmin };
}

export function keyMemory(): KeyMemory {
  const checksByHash = new Map<string, Remembered>();
  let forgotten = 0;
  return {
    find: (hash) => checksByHash.get(hash),
    remember(hash, remembered, since) {
      if (since !== forgotten) return;
      const [oldest] = checksByHash.keys();
      if (checksByHash.size >= MEMORY_SIZE && oldest !== undefined) checksByHash.delete(oldest);
      checksByHash.set(hash, remembered);
    },
    drop: (hash) => void checksByHash.delete(hash),
    forget() {
      forgotten += 1;
      checksByHash.clear();
    },
    forgotten: () => forgotten,
  };
}

/**
 * Admits a request without a key as the local user if its Host and, where present, its Origin name the loopback
 * (docs/apis/common.md#keys). A presented key is still checked.
 */
export function allowKeyless(localUser: (() => Promise<Actor>) | undefined, check: KeyCheck): KeyCheck {
  if (!localUser) return check;
  return async (headers, further, sessionKey) => {
    const isOpen = presentedKey(headers, further) === undefined && namesLoopback(headers);
    return isOpen ? localUser() : check(headers, further, sessionKey);
  };
}

/** A page of another site can forge neither. A DNS name rebound to 127.0.0.1 still shows in Host. */
function namesLoopback(headers: PlainHeaders): boolean {
  const [host, origin] = [headers.get("host"), headers.get("origin")];
  if (host === null || !loopbackHost.test(host)) return false;
  return origin === null || loopbackOrigin.test(origin);
}

/** Excludes names below `localhost`, where environments serve their pages. */
const loopback = String.raw`(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?`;

const loopbackHost = new RegExp(`^${loopback}$`, "i");

const loopbackOrigin = new RegExp(`^https?://${loopback}$`, "i");
