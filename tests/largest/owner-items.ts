import type { Directory } from "#core/disks/names/directory.ts";
import type { Operation } from "#core/disks/operations.ts";
import type { Disk } from "#core/disks/record.ts";
import {
  apiKeyKey,
  directoryKey,
  diskKey,
  endedDiskKey,
  environmentKey,
  idempotencyKey,
  identityKey,
  keyText,
  listedUserKey,
  loginsKey,
  operationKey,
  ownersReceiversKey,
  receiverKey,
  ticketKey,
  userCounterKey,
  userKey,
  usernameKey,
  webCodeKey,
} from "#core/store/keys.ts";
import type { ApiKey, ListedUser, NameClaim, User } from "#core/users/record.ts";
import type { WebCode } from "#core/users/web-sessions.ts";
import {
  at,
  base,
  formatUid,
  hash,
  homeText,
  id,
  many,
  reason,
  ttl,
  uid,
  username,
  uuid,
  type Written,
  zone,
} from "./parts.ts";

const name = "d".repeat(64);
const holder = { uid, key: homeText, id };
const snapshot = "snap-0123456789abcdef0";

/**
 * Disk with 40 snapshots that cannot be removed, 3 backups, 40 objects that may exist, 10 earlier volumes, and 40 disks
 * restored from it.
 */
export const disk = {
  ...base,
  ...diskKey(uid, uid),
  kind: "disk",
  uid,
  owner: uid,
  name,
  sizeGb: 10_000,
  phase: "available",
  volume: { id: "vol-0123456789abcdef0", zone },
  volumeMissedAt: at,
  volumeMissedAgainAt: at,
  lostAt: at,
  supersededVolumes: many(10, () => "vol-0123456789abcdef0"),
  savedIn: snapshot,
  idleVolume: { id: "vol-0123456789abcdef0", unremoved: { why: reason, tries: 1_000_000, at } },
  making: many(40, () => ({
    kind: "volume" as const,
    token: hash,
    zone,
    sizeGb: 10_000,
    from: snapshot,
    at,
  })),
  restored: { by: uid, at },
  source: { id: snapshot, at, missedAt: at, missedAgainAt: at },
  written: true,
  restores: many(40, () => ({ snapshot, disk: uid, at })),
  snapshots: many(43, () => ({
    id: snapshot,
    at,
    completed: true,
    failed: true,
    missedAt: at,
    missedAgainAt: at,
    unremoved: { why: reason, tries: 1_000_000, at },
    removingUntil: at,
  })),
  lost: {
    of: snapshot,
    attempt: 3,
    tried: 100,
    since: at,
    answeredAt: at,
    until: at,
    notBefore: at,
    refused: reason,
    gaveUp: reason,
  },
  heldBy: holder,
  next: holder,
  createdAt: at,
  lastUsedAt: at,
  deletedAt: at,
  purgeAt: at,
  taggedAs: name,
  operations: many(40, () => ({ id: `op-${uuid}`, kind: "undelete" as const })),
  attempts: 1e6,
  fault: reason,
  dueShard: "f",
  dueAt: at,
  ttl,
} satisfies Written<Disk>;

/** Directory with 500 names. */
export const directory = {
  ...base,
  ...directoryKey(uid),
  kind: "directory",
  names: many(500, (n) => [String(n).padStart(64, "d"), formatUid(n)] as const),
} satisfies Written<Directory>;

export const endedDisk = { ...base, ...endedDiskKey(uid, uid), kind: "ended-disk", endedAt: at, record: disk };

export const operation = {
  ...base,
  ...operationKey(uid, `op-${uuid}`),
  kind: "operation",
  id: `op-${uuid}`,
  owner: uid,
  disk: uid,
  name,
  action: "undelete",
  status: "in_progress",
  error: reason,
  deletesAt: at,
  createdAt: at,
  updatedAt: at,
  ttl,
} satisfies Written<Operation>;

/** User with 10 keys, 5 of browsers, the keys rotated within a minute, and the keys to end. */
export const user = {
  ...base,
  ...userKey(uid),
  kind: "user",
  uid,
  number: 1e9,
  username,
  disabled: false,
  accessChanges: 1e6,
  keys: many(115, () => ({ hash, prefix: "xxxxxxxx", createdAt: at, expiresAt: at, isWeb: true as const })),
  revoking: many(100, () => hash),
  attempts: 1e6,
  dueShard: "f",
  dueAt: at,
} satisfies Written<User>;

export const key = {
  ...base,
  ...apiKeyKey(hash),
  kind: "key",
  uid,
  username,
  number: 1e9,
  prefix: "xxxxxxxx",
  createdAt: at,
  expiresAt: at,
  revokedAt: at,
  disabled: true,
  accessChanges: 1e6,
  lastUsedAt: at,
  loginAt: at,
  ttl,
  role: "r".repeat(64),
  isWeb: true,
} satisfies Written<ApiKey>;

export const nameClaim = {
  ...base,
  ...usernameKey(username),
  kind: "username",
  uid,
  identity: hash,
} satisfies Written<NameClaim>;

export const listedUser = {
  ...base,
  ...listedUserKey(username),
  kind: "listed-user",
  uid,
} satisfies Written<ListedUser>;

export const identity = { ...base, ...identityKey(hash), kind: "identity", uid };
export const logins = { ...base, ...loginsKey("ffff:ffff:ffff:ffff", 1e8), kind: "logins", count: 60, ttl };
export const ticket = {
  ...base,
  ...ticketKey(hash),
  kind: "ticket",
  keyHash: hash,
  environment: keyText(environmentKey(uid, "session-manager", "i".repeat(200))),
  uid,
  run: 1e6,
  label: "l".repeat(200),
  origin: "o".repeat(300),
  terminal: uid,
  isNew: false,
  expiresAt: at,
  isUsed: true,
  ttl,
};
export const webCode = {
  ...base,
  ...webCodeKey(hash),
  kind: "web-code",
  uid,
  username,
  keyHash: hash,
  role: "r".repeat(64),
  issuedAt: at,
  expiresAt: at,
  isUsed: true,
  ttl,
} satisfies Written<WebCode>;
export const counter = { ...base, ...userCounterKey, kind: "counter", last: 1e12 };
export const share = { ...base, ...ownersReceiversKey(uid), kind: "share", heldMs: 60_000.123456789, at, ttl };

export const receiver = {
  ...base,
  ...receiverKey(uid, hash),
  kind: "receiver",
  failures: 1e6,
  openUntil: at,
  probes: 1e6,
  ttl,
};

/** Idempotency record with the answer of a create. */
export const idempotency = {
  ...base,
  ...idempotencyKey(hash),
  kind: "idempotency",
  request: hash,
  resource: { id, uid },
  state: "refused",
  shared: true,
  reply: { status: 201, text: '"'.repeat(16_384) },
  createdAt: at,
  ttl,
};
